// On the audio thread: cuts the input into frames of 256 samples for the page, and plays those
// that come back.  Playing starts when START frames wait, so that a late one is not heard.  More
// than MOST would only be delay, and the oldest go; what is over START for a whole second goes too.
const FRAME = 256, START = 3, MOST = 16, SECOND = 62;

class Exchange extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.waiting = [];
    this.at = 0; // samples of waiting[0] that have been played
    this.playing = false;
    this.least = MOST; // frames that waited at any time in this second
    this.played = 0;
    this.port.onmessage = ({ data }) => {
      this.waiting.push(data);
      if (this.waiting.length > MOST) { this.waiting.shift(); this.at = 0; }
      if (this.waiting.length >= START) this.playing = true;
    };
  }

  process([[input]], [[output]]) {
    for (let i = 0; i < output.length; i++) {
      const sample = input ? Math.round(input[i] * 32768) : 0;
      this.frame[this.filled++] = Math.max(-32768, Math.min(32767, sample));
      if (this.filled === FRAME) {
        this.port.postMessage({ frame: this.frame, waiting: this.waiting.length }, [this.frame.buffer]);
        this.frame = new Int16Array(FRAME);
        this.filled = 0;
      }
      if (!this.playing) continue;
      output[i] = this.waiting[0][this.at++] / 32768;
      if (this.at === FRAME) {
        this.waiting.shift();
        this.at = 0;
        this.playing = this.waiting.length > 0;
        this.trim();
      }
    }
    return true;
  }

  trim() {
    this.least = Math.min(this.least, this.waiting.length);
    if (++this.played % SECOND) return;
    if (this.least > START) this.waiting.splice(0, this.least - START);
    this.least = MOST;
  }
}

registerProcessor("exchange", Exchange);
