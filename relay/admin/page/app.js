// Which page is shown, is the relay heard, and who may ask? The frame around all pages.
import {h, fill, setText} from './dom.js';
import {follow, get, token, ApiError} from './api.js';
import {History} from './history.js';
import {Overview} from './overview.js';
import {Destinations} from './destinations.js';
import {Destination} from './destination.js';
import {Messages} from './messages.js';
import {Message} from './message.js';
import {setClock} from './words.js';

const REFRESH_MS = 4000;  // of the lists, while their page is seen

const history = new History();
const content = document.getElementById('content');
let shown = null;       // {page, stop}: what is on the screen
let following = null;   // ends the stream
let refreshed = 0;
let refreshing = false;

function navigate(hash, again = false) {
  if (location.hash === hash && again) show();
  else location.hash = hash;
}

function pageOf(hash) {
  const [where, search] = hash.replace(/^#/, '').split('?');
  const parts = where.split('/').filter(Boolean).map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const parameters = new URLSearchParams(search || '');
  switch (parts[0]) {
    case 'destinations': return {name: 'destinations', title: 'Destinations', page: new Destinations(parameters, navigate)};
    case 'destination': return {name: 'destinations', title: parts[1], page: new Destination(parts[1] || '')};
    case 'messages': return {name: 'messages', title: 'Messages', page: new Messages(parameters, navigate)};
    case 'message': return {name: 'messages', title: 'Message', page: new Message(parts[1] || '')};
    default: return {name: 'overview', title: 'Overview', page: new Overview(history)};
  }
}

function show() {
  if (shown) shown.stop.abort();
  const {name, title, page} = pageOf(location.hash);
  shown = {page, stop: new AbortController()};
  document.title = `${title} · Sluice`;
  for (const link of document.querySelectorAll('nav [data-page]')) {
    if (link.dataset.page === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  fill(content, page.element);
  scrollTo(0, 0);
  if (page.load) load(page, (signal) => page.load(signal));
}

async function load(page, how) {
  const {stop} = shown;
  try {
    await how(stop.signal);
    refreshed = Date.now();
    page.element.querySelector(':scope > .failed')?.remove();
  } catch (error) {
    if (error.name === 'AbortError' || stop.signal.aborted || error.status === 401) return;
    if (!(error instanceof ApiError)) console.error(error);
    page.element.querySelector(':scope > .failed')?.remove();
    page.element.prepend(h('p', {class: 'failed', role: 'alert'}, `The relay could not answer: ${error.message}.`));
  }
}

async function refresh() {
  const {page} = shown;
  if (page.show && page instanceof Overview) return page.show();
  if (!page.update || refreshing || document.hidden || Date.now() - refreshed < REFRESH_MS) return;
  refreshing = true;
  await load(page, (signal) => page.update(signal));
  refreshing = false;
}

const live = document.getElementById('live');
const liveText = document.getElementById('live-text');

function state(name, why) {
  live.dataset.state = name;
  setText(liveText, {live: 'live', slow: 'every 5 s', lost: `not heard: ${why}`, asking: 'token needed'}[name]);
}

function onSample(sample) {
  setClock(sample.time);
  history.add(sample);
  setText(document.getElementById('who'), `${sample.status.hostname}, Sluice ${sample.status.version}.`);
  refresh();
}

async function start() {
  document.getElementById('forget').hidden = !token.get();
  try {
    await get('status');
  } catch (error) {
    if (error.status === 401 || error.status === 429) return ask(error);
  }
  following?.abort();
  following = new AbortController();
  follow(onSample, state, following.signal);
  show();
}

// Who may ask? The token stays in this tab, and goes nowhere but into the header of our requests.
function ask(error) {
  following?.abort();
  shown?.stop.abort();
  shown = null;
  state('asking');
  document.getElementById('forget').hidden = true;
  if (document.getElementById('token')) return;
  const wrong = token.get() !== '';
  token.forget();
  const entry = h('input', {id: 'token', type: 'password', name: 'token', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help'});
  fill(content, h('form', {class: 'panel ask', onsubmit: (event) => {
    event.preventDefault();
    token.set(entry.value.trim());
    entry.id = '';
    start();
  }}, h('h1', {}, 'Who is asking?'),
  h('p', {id: 'token-help'}, 'The token is in the file that ', h('code', {}, 'token_file'), ' names in the section ', h('code', {}, '[admin]'), '. It is kept in this tab only.'),
  wrong || error?.status === 429 ? h('p', {class: 'bad', role: 'alert'}, error?.status === 429 ? 'Too many wrong tokens came from here: wait a minute.' : 'That is not the token.') : null,
  h('label', {}, 'Token', entry), h('div', {class: 'buttons start'}, h('button', {type: 'submit', class: 'strong'}, 'Show the relay'))));
  entry.focus();
}

const theme = document.getElementById('theme');
theme.value = document.documentElement.dataset.theme || 'auto';
theme.addEventListener('change', () => {
  if (theme.value === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  try { localStorage.setItem('sluice-theme', theme.value); } catch { /* storage is shut off */ }
});
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  content.focus();
});
document.getElementById('forget').addEventListener('click', () => {
  token.forget();
  ask();
});
addEventListener('token-needed', () => ask());
addEventListener('hashchange', () => { if (shown) show(); });
start();
