// Keeps the numbers of Today as they are now. What needs a person is told in words by the heading; the list itself is the
// server's, and comes with the page.
const shown = new Intl.NumberFormat('en');
const state = document.querySelector('[data-live]');
const heading = document.querySelector('h1');
const first = heading.textContent;
const source = new EventSource('/live');

source.addEventListener('today', ({ data }) => {
  const { needs, counted, totals } = JSON.parse(data);
  for (const [name, total] of totals) {
    const place = document.querySelector(`[data-total="${CSS.escape(encodeURIComponent(name))}"]`);
    if (place) place.textContent = shown.format(total);
  }
  document.querySelector('[data-counted]').textContent = counted;
  heading.textContent = needs;
  state.textContent = needs === first ? '● live' : '● live; the list below is of when the page was opened';
});
source.addEventListener('error', () => { state.textContent = '○ not live now; the numbers are of a moment ago'; });
