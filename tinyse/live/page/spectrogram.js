// A spectrogram that moves: one column a frame of 256 samples, 0 to 8 kHz from the bottom.

const SIZE = 512, BINS = 256, TOP_DB = -25, RANGE_DB = 70;
// The palette of the report page: even steps of OKLab lightness.
const STOPS = ["050613", "250d46", "561164", "8d1a6d", "c13363", "e65f53", "f99357", "fbc988", "fbf5df"];
const PALETTE = Array.from({ length: 256 }, (_, index) => {
  const place = index / 255 * (STOPS.length - 1), low = Math.min(Math.floor(place), STOPS.length - 2);
  const part = (stop, channel) => parseInt(STOPS[stop].slice(2 * channel, 2 * channel + 2), 16);
  return [0, 1, 2].map(c => part(low, c) + (place - low) * (part(low + 1, c) - part(low, c)));
});
const WINDOW = Float64Array.from({ length: SIZE }, (_, i) => Math.sin(Math.PI * i / SIZE) ** 2 / 32768 / (SIZE / 4));
const COS = Float64Array.from({ length: SIZE / 2 }, (_, i) => Math.cos(2 * Math.PI * i / SIZE));
const SIN = Float64Array.from({ length: SIZE / 2 }, (_, i) => -Math.sin(2 * Math.PI * i / SIZE));

/** In-place radix-2 FFT of 512 complex values. */
export function transform(real, imag) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imag[i], imag[j]] = [imag[j], imag[i]];
    }
  }
  for (let half = 1; half < SIZE; half *= 2) {
    for (let start = 0; start < SIZE; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const turn = k * (SIZE / 2 / half), a = start + k, b = a + half;
        const re = real[b] * COS[turn] - imag[b] * SIN[turn], im = real[b] * SIN[turn] + imag[b] * COS[turn];
        real[b] = real[a] - re; imag[b] = imag[a] - im;
        real[a] += re; imag[a] += im;
      }
    }
  }
}

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.column = this.context.createImageData(1, BINS);
    this.column.data.fill(255);
    this.sound = new Float64Array(SIZE);
    this.real = new Float64Array(SIZE);
    this.imag = new Float64Array(SIZE);
    this.clear();
  }

  clear() {
    this.sound.fill(0);
    this.context.fillStyle = `#${STOPS[0]}`;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draws the column that a frame [256] of 16-bit samples completes. */
  add(frame) {
    this.sound.copyWithin(0, SIZE / 2);
    this.sound.set(frame, SIZE / 2);
    for (let i = 0; i < SIZE; i++) this.real[i] = this.sound[i] * WINDOW[i];
    this.imag.fill(0);
    transform(this.real, this.imag);
    const pixels = this.column.data;
    for (let bin = 1; bin <= BINS; bin++) {
      const power = this.real[bin] ** 2 + this.imag[bin] ** 2;
      const level = (10 * Math.log10(power + 1e-20) - TOP_DB) / RANGE_DB + 1;
      const colour = PALETTE[Math.round(255 * Math.max(0, Math.min(1, level)))];
      pixels.set(colour, 4 * (BINS - bin));
    }
    const { width } = this.canvas;
    this.context.drawImage(this.canvas, -1, 0);
    this.context.putImageData(this.column, width - 1, 0);
  }
}
