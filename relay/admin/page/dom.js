// How does anything get onto the page? Elements are made here, and text goes in as text: nothing
// that came from mail is ever read as HTML (the page's policy forbids the browser to, as well).

// h('p', {class: 'note', onclick: f}, 'text', child, [more], null): an element.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  add(element, children);
  return element;
}

// The same for the elements of a drawing.
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(element, attributes);
  add(element, children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

// Writes only what has changed, so that a page that is read aloud or selected stays still.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Characters that cannot be seen, end lines, or turn the direction of what follows.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return String(text).replace(UNSEEN, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

// Text of mail or of other hosts: shown as it is, isolated from the text around it.
export function foreign(text, kind = '') {
  return h('bdi', {class: `foreign ${kind}`.trim()}, visible(text));
}

const icons = {
  retry: 'M20 11a8 8 0 1 0-2.3 6M20 5v6h-6',
  hold: 'M8 5v14M16 5v14',
  release: 'M7 4l12 8-12 8z',
  bounce: 'M9 14l-5-5 5-5M4 9h10a6 6 0 0 1 0 12h-3',
  discard: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  suspend: 'M5.6 5.6l12.8 12.8M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z',
  resume: 'M7 4l12 8-12 8z',
  expire: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 3',
  redirect: 'M4 12h14M13 6l6 6-6 6',
  content: 'M12 4v11M7 10l5 5 5-5M5 20h14',
};

export function icon(name) {
  return svg('svg', {class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true'},
    svg('path', {d: icons[name] || icons.redirect}));
}

// A table whose rows are kept by key: a refresh changes cells and leaves focus and place alone.
// columns: [{name, label, class, cell(row) -> what goes in, sign(row) -> changes when it does}]
export class Table {
  constructor(columns, {caption, key, empty}) {
    this.columns = columns;
    this.key = key;
    this.rows = new Map();
    this.body = h('tbody', {role: 'rowgroup'});
    this.empty = h('p', {class: 'empty', hidden: true}, empty);
    // The roles say what the elements are also where a phone shows them as blocks.
    this.table = h('table', {role: 'table'},
      h('caption', {class: 'hidden'}, caption),
      h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'}, columns.map((column) =>
        h('th', {scope: 'col', role: 'columnheader', class: column.class}, column.label)))),
      this.body);
    this.element = h('div', {class: 'rows'}, this.table, this.empty);
  }

  show(rows) {
    const wanted = new Map(rows.map((row) => [this.key(row), row]));
    for (const [key, known] of this.rows) {
      if (wanted.has(key)) continue;
      known.element.remove();
      this.rows.delete(key);
    }
    let before = this.body.firstChild;
    for (const [key, row] of wanted) {
      const known = this.rows.get(key) || this.make(key);
      this.update(known, row);
      if (known.element === before) before = before.nextSibling;
      else this.body.insertBefore(known.element, before);
    }
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
  }

  make(key) {
    const cells = this.columns.map((column) =>
      h('td', {role: 'cell', class: column.class, 'data-label': column.label}));
    const known = {element: h('tr', {role: 'row'}, cells), cells, signs: []};
    this.rows.set(key, known);
    return known;
  }

  update(known, row) {
    this.columns.forEach((column, at) => {
      const sign = String(column.sign(row));
      if (known.signs[at] === sign) return;
      known.signs[at] = sign;
      fill(known.cells[at], column.cell(row));
    });
  }
}
