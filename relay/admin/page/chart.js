// How do the last minutes look? Small drawings in SVG, made by hand: a line or two over time. They
// are made once and only their paths change.
import {h, svg, setText} from './dom.js';
import {rate, shortSpan} from './words.js';

const WIDTH = 600;
const MOST_MS = 5 * 60_000;   // of time that a drawing shows
const LEAST_MS = 60_000;      // and what it shows of it at the beginning

function scaleOf(values) {
  const top = Math.max(...values.filter(Number.isFinite), 0);
  if (top <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].map((times) => times * step).find((round) => round >= top);
}

// Path of the points; a gap where nothing is known.
function pathOf(points, name, {top, height, until, span}, closed) {
  const parts = [];
  let run = [];
  const flush = () => {
    if (run.length === 1) run.push([run[0][0] + 0.5, run[0][1]]);
    if (run.length) {
      const line = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L');
      parts.push(closed ? `M${run[0][0].toFixed(1)} ${height}L${line}L${run.at(-1)[0].toFixed(1)} ${height}Z` : `M${line}`);
    }
    run = [];
  };
  for (const point of points) {
    const x = WIDTH - ((until - point.time) / span) * WIDTH;
    if (x < 0) continue;
    if (!Number.isFinite(point[name])) flush();
    else run.push([x, height - 1.5 - (point[name] / top) * (height - 4)]);
  }
  flush();
  return parts.join('');
}

// lines: [{name, class}]. What it shows is said in words beside it: hidden from screen readers.
export class Chart {
  constructor(lines, {height = 36, grid = false} = {}) {
    this.lines = lines;
    this.height = height;
    this.areas = lines.map((line) => svg('path', {class: `area ${line.class}`}));
    this.strokes = lines.map((line) => svg('path', {class: `line ${line.class}`}));
    const drawing = svg('svg', {viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true'},
      grid ? [0.25, 0.5, 0.75].map((share) =>
        svg('path', {class: 'grid', d: `M0 ${(height * share).toFixed(1)}H${WIDTH}`})) : null,
      this.areas, this.strokes);
    drawing.style.height = `${height}px`;
    this.since = h('span', {});
    this.top = grid ? h('span', {class: 'top', 'aria-hidden': 'true'}) : null;
    this.element = h('div', {class: 'chart'}, drawing, this.top,
      grid ? h('span', {class: 'axis', 'aria-hidden': 'true'}, this.since, h('span', {}, 'now')) : null);
  }

  draw(points, unit = '') {
    if (!points.length) return;
    const until = points.at(-1).time;
    const span = Math.min(MOST_MS, Math.max(LEAST_MS, until - points[0].time));
    const shown = points.filter((point) => until - point.time <= span);
    const top = scaleOf(this.lines.flatMap((line) => shown.map((point) => point[line.name])));
    const frame = {top, height: this.height, until, span};
    this.lines.forEach((line, at) => {
      this.strokes[at].setAttribute('d', pathOf(shown, line.name, frame, false));
      this.areas[at].setAttribute('d', pathOf(shown, line.name, frame, true));
    });
    setText(this.since, `${shortSpan(span / 1000)} ago`);
    if (this.top) setText(this.top, `${rate(top)}${unit}`);
  }
}

// Parts of a whole as one bar: parts [{name, label, class}], values by name.
export class StackedBar {
  constructor(parts) {
    this.parts = parts;
    this.pieces = parts.map((part) => h('span', {class: `piece ${part.class}`}));
    this.element = h('div', {class: 'stack', 'aria-hidden': 'true'}, this.pieces);
  }

  draw(values) {
    this.parts.forEach((part, at) => {
      this.pieces[at].style.flexGrow = values[part.name] || 0;
      this.pieces[at].hidden = !values[part.name];
    });
  }
}

// How old is what waits? One column a bucket, its height the share of the largest.
export class Columns {
  constructor() {
    this.element = h('ol', {class: 'columns'});
    this.made = [];
  }

  draw(buckets) {  // [{label, value, text}]
    if (this.made.length !== buckets.length) {
      this.made = buckets.map((bucket) => {
        const bar = h('span', {class: 'column', 'aria-hidden': 'true'});
        const value = h('span', {class: 'value'});
        return {bar, value, item: h('li', {}, value, h('span', {class: 'well', 'aria-hidden': 'true'}, bar), h('span', {class: 'label'}, bucket.label))};
      });
      this.element.replaceChildren(...this.made.map((made) => made.item));
    }
    const most = Math.max(...buckets.map((bucket) => bucket.value), 1);
    buckets.forEach((bucket, at) => {
      this.made[at].bar.style.height = `${bucket.value ? Math.max(4, (bucket.value / most) * 100) : 0}%`;
      setText(this.made[at].value, bucket.text);
    });
  }
}
