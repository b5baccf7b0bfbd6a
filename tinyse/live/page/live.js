// The page: microphone or file -> worklet -> socket -> tinyse -> socket -> worklet -> loudspeaker.
// The messages are those of tinyse/live/messages.py.

import { Spectrogram } from "./spectrogram.js";

const FRAME = 256, RATE = 16000, FRAME_MS = 1000 * FRAME / RATE, HEADER_BYTES = 8;
const MOST_IN_FLIGHT = 31; // half a second: beyond it a frame is left out, or the delay would grow
const JUDGED = 62; // frames that the figures are of: a second
const NOISY = "Noisy";
const SILENT = /ping timeout/; // how the server's library says it

const element = id => document.getElementById(id);
const HINT = element("source").textContent;
const noisyPicture = new Spectrogram(element("noisy"));
const heardPicture = new Spectrogram(element("enhanced"));

let audio = null; // { context, node, gain } once something has been started
let opening = null; // the promise of it
let attempt = 0; // number of the start or stop that came last: a start gives way to a later one
let stopSource = null;
const inFlight = []; // { frame, at, of } of what was sent and is not back, in order
let sound = 0; // number of the sound that was started last
let lastNoisy = new Int16Array(FRAME); // what comes back is one frame old: so is what is drawn
let times = []; // ms per frame
let trips = [];
let waitingToPlay = 0;
let frames = 0, lost = 0, lostAt = -Infinity;
let chosen = { model: null, runtime: "" };
let trouble = ""; // a problem that stays until something else is done

const socket = new WebSocket(`ws://${location.host}${location.pathname}socket`);
socket.binaryType = "arraybuffer";
const say = message => { if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };

socket.onmessage = ({ data }) => {
  if (data instanceof ArrayBuffer) { arrived(data); return; }
  const message = JSON.parse(data);
  if (message.type === "hello") offer(message);
  else if (message.type === "chosen") hear(message);
  else if (message.type === "refused") refuse(message);
};
socket.onclose = ({ reason }) => {
  stop();
  for (const id of ["microphone", "pick", "runtime"]) element(id).disabled = true;
  for (const input of document.getElementsByName("model")) input.disabled = true;
  const why = SILENT.test(reason) ? "this page did not answer for ten seconds" : reason;
  tell(`The connection has ended${why ? `: ${why}` : ""}. Reload the page, or start tinyse live again.`);
};

// What can be heard

function offer({ models, runtimes, missing }) {
  const choices = [{ name: NOISY, model: null, bytes: 0 }, ...models.map(found =>
    ({ name: found.name, model: found.name, bytes: found.flash_bytes }))];
  element("models").replaceChildren(...choices.map(({ name, model, bytes }, index) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "model", checked: index === 0 });
    input.addEventListener("change", () => choose(model, element("runtime").value));
    const size = Object.assign(document.createElement("small"), { textContent: bytes ? `${Math.round(bytes / 1000)} kB` : "" });
    const label = Object.assign(document.createElement("label"), { className: "choice" });
    label.append(input, name, size);
    input.tinyse = model;
    return label;
  }));
  element("runtime").replaceChildren(...runtimes.map(name => new Option(name, name)));
  element("runtime").addEventListener("change", () => choose(chosen.model, element("runtime").value));
  chosen.runtime = runtimes[0];
  for (const id of ["microphone", "pick", "runtime"]) element(id).disabled = false;
  const reasons = Object.entries(missing).map(([name, reason]) => `${name}: ${reason}`);
  element("missing").hidden = reasons.length === 0;
  element("missing").textContent = `Not here: ${reasons.join("; ")}`;
  if (models.length) choose(models[0].name, runtimes[0]);
}

function choose(model, runtime) {
  say({ type: "choose", model, runtime });
}

function hear({ model, runtime }) {
  chosen = { model, runtime };
  times = [];
  lostAt = -Infinity;
  tell("");
  show();
}

function refuse({ model, runtime, reason }) {
  tell(`${model ?? NOISY} on ${runtime} cannot be heard: ${reason}`);
  show();
}

function show() {
  for (const input of document.getElementsByName("model")) input.checked = input.tinyse === chosen.model;
  element("runtime").value = chosen.runtime;
  element("heard").textContent = chosen.model === null ? NOISY : `${chosen.model} on ${chosen.runtime}`;
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  const input = /^\d$/.test(event.key) && document.getElementsByName("model")[Number(event.key)];
  if (input) input.click();
});

// Sound

async function start(describe, open) {
  if (socket.readyState !== WebSocket.OPEN) return;
  stop();
  tell("");
  element("stop").disabled = false; // the browser may ask for the microphone for as long as it likes
  const mine = attempt;
  const ended = () => {
    if (mine !== attempt) return;
    stop();
    tell(`${describe} has ended: it was taken away, or may no longer be used. Start it again.`);
  };
  try {
    opening ??= openAudio();
    audio = await opening;
    if (mine !== attempt) return;
    await audio.context.resume();
    if (mine !== attempt) return;
    const source = await open(audio.context, ended);
    if (mine !== attempt) { source.end(); return; }
    stopSource = () => { source.node.disconnect(); source.end(); };
    sound++;
    lastNoisy = new Int16Array(FRAME);
    frames = lost = 0;
    noisyPicture.clear();
    heardPicture.clear();
    say({ type: "start" });
    source.node.connect(audio.node);
    element("source").textContent = describe;
  } catch (error) {
    if (!audio) opening = null;
    if (mine !== attempt) return;
    stop();
    tell(`${describe} cannot be used: ${error.message}`);
  }
}

function stop() {
  attempt++;
  stopSource?.();
  stopSource = null;
  element("stop").disabled = true;
  element("source").textContent = HINT;
}

async function openAudio() {
  const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  await context.audioWorklet.addModule("worklet.js");
  const node = new AudioWorkletNode(context, "exchange", {
    numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1],
    channelCount: 1, channelCountMode: "explicit", channelInterpretation: "speakers",
  });
  const gain = new GainNode(context, { gain: element("play").checked ? 1 : 0 });
  node.connect(gain).connect(context.destination);
  node.port.onmessage = ({ data }) => captured(data);
  return { context, node, gain };
}

async function openMicrophone(context, ended) {
  const raw = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: raw });
  const tracks = stream.getTracks();
  const end = () => tracks.forEach(track => track.stop());
  tracks.forEach(track => track.addEventListener("ended", ended)); // not by its own stop()
  try {
    return { node: new MediaStreamAudioSourceNode(context, { mediaStream: stream }), end };
  } catch (error) {
    end();
    throw error;
  }
}

async function openFile(context, file) {
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const node = new AudioBufferSourceNode(context, { buffer, loop: true });
  node.start();
  return { node, end: () => node.stop() };
}

function captured({ frame, waiting }) {
  waitingToPlay = waiting;
  if (!stopSource || socket.readyState !== WebSocket.OPEN) return;
  if (inFlight.length >= MOST_IN_FLIGHT) {
    lost++;
    lostAt = performance.now();
    return;
  }
  inFlight.push({ frame, at: performance.now(), of: sound });
  socket.send(frame);
}

function arrived(data) {
  const sent = inFlight.shift();
  if (sent?.of !== sound) return; // of the sound before
  const enhanced = new Int16Array(data, HEADER_BYTES);
  keep(times, new DataView(data).getUint32(4, true) / 1000);
  keep(trips, performance.now() - sent.at);
  noisyPicture.add(lastNoisy);
  heardPicture.add(enhanced);
  lastNoisy = sent.frame;
  frames++;
  audio.node.port.postMessage(enhanced);
}

function keep(list, value) {
  list.push(value);
  if (list.length > JUDGED) list.shift();
}

// Figures

const median = list => [...list].sort((a, b) => a - b)[list.length >> 1];
const mean = list => list.reduce((sum, value) => sum + value, 0) / list.length;

function tell(text) {
  trouble = text;
  warn(text);
}

function warn(text) {
  if (element("problem").textContent === text) return; // a screen reader reads every change aloud
  element("problem").textContent = text;
  element("problem").hidden = !text;
}

function figures() {
  element("frames").textContent = frames;
  element("lost").textContent = lost ? `${lost} left out` : "none left out";
  if (!times.length || !audio) return;
  const average = mean(times);
  element("time").textContent = `${median(times).toFixed(2)} ms`;
  element("worst").textContent = `of ${FRAME_MS} ms; worst ${Math.max(...times).toFixed(2)} ms`;
  element("speed").textContent = `${(FRAME_MS / Math.max(average, 0.001)).toFixed(average > 1 ? 1 : 0)}×`;
  element("load").value = Math.min(1, average / FRAME_MS);
  const device = 1000 * (audio.context.baseLatency + (audio.context.outputLatency || 0));
  const transport = trips.length ? median(trips) : 0;
  const total = 2 * FRAME_MS + transport + waitingToPlay * FRAME_MS + device;
  element("delay").textContent = `${Math.round(total)} ms`;
  element("delay-parts").textContent = `${2 * FRAME_MS} ms algorithm, ${transport.toFixed(1)} ms socket, the rest buffers`;
  judge(average);
}

function judge(average) {
  if (trouble) return;
  const slow = times.length === JUDGED && average > FRAME_MS;
  const late = performance.now() - lostAt < 2000;
  const name = element("heard").textContent;
  if (slow) warn(`${name} does not hold real time: a frame takes longer than the ${FRAME_MS} ms that it lasts. Frames are left out.`);
  else if (late) warn(`${name} does not hold real time: this machine is busy, and frames are left out.`);
  else warn("");
}

setInterval(figures, 250);

// Controls

element("microphone").addEventListener("click", () => start("Microphone", openMicrophone));
element("pick").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (file) start(file.name, context => openFile(context, file));
});
element("stop").addEventListener("click", stop);
element("play").addEventListener("change", ({ target }) => { if (audio) audio.gain.gain.value = target.checked ? 1 : 0; });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragover");
    const file = kind === "drop" && event.dataTransfer.files[0];
    if (file && !element("pick").disabled) start(file.name, context => openFile(context, file));
  });
}
