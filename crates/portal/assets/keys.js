// The console by keyboard: where to go, the next and the previous row, marking it. The page lists the keys ("?"), and lets them be
// switched off (WCAG 2.2, 2.1.4), which this browser remembers. Without this script everything is reached by Tab.
const dialog = document.querySelector('dialog[data-keys]');
const opener = document.querySelector('button[data-keys]');
const enabled = dialog.querySelector('input');
const OFF = 'noroshi-keys-off';

const rows = () => [...document.querySelectorAll('main tbody tr')].filter((row) => row.querySelector('a, input'));
const step = (by) => {
  const all = rows();
  if (!all.length) return;
  const here = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + by, 0), all.length - 1)];
  next.querySelector('a, input').focus();
};
const press = (selector) => document.querySelector(selector)?.click();
const keys = {
  '?': () => dialog.showModal(),
  '/': () => document.querySelector('main form.filters input[type=text]')?.focus(),
  j: () => step(1),
  k: () => step(-1),
  x: () => rows().find((row) => row.contains(document.activeElement))?.querySelector('input[type=checkbox]')?.click(),
  n: () => press('.pager a[rel=next]'),
  p: () => press('.pager a[rel=prev]'),
};

let going = -Infinity;
document.addEventListener('keydown', (event) => {
  if (localStorage.getItem(OFF) || dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
  // What is typed into a field is text.
  if (event.target.closest('textarea, select, input:not([type=checkbox])')) return;
  const gone = event.timeStamp - going < 1500 && document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
  going = event.key === 'g' && !gone ? event.timeStamp : -Infinity;
  const act = gone ? () => gone.click() : keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
opener.hidden = false;
opener.addEventListener('click', () => dialog.showModal());
enabled.checked = !localStorage.getItem(OFF);
enabled.addEventListener('change', () => (enabled.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, '1')));
