/** One colour for each object, by the rule of Python's `drawing/colours.py`. */

const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
const TONES = [[0.7, 0.19], [0.82, 0.16], [0.62, 0.22]];
const YELLOW = Math.PI / 2;

/** Return the CSS colour of object `index`; black letters can be read on all of them. */
export function pickColour(index, alpha = 1) {
  const [lightness, chroma] = TONES[index % TONES.length];
  const hue = 0.45 + index * GOLDEN_ANGLE;
  const lighter = lightness + (0.85 - lightness) * Math.max(0, Math.cos(hue - YELLOW)) ** 2;
  return `oklch(${lighter} ${chroma} ${hue}rad / ${alpha})`;
}
