// The telescope's map and sphere with as many marks in flight as they draw at most, on a page as wide as a desk's: the real
// pages and scripts, and marks that are made here, in place of `/telescope/state` and `/telescope/live`. Answers with the frames
// each view drew in a second, as it counts them itself, over several seconds.

const FLYING = { map: 2000, sphere: 5000 };
const OPENINGS = 4;
// A burst is spread over a second, and flies for five or six.
const WATCHED_MS = 8000;
const ORGANISATIONS = 24;
// A stream that ends would be opened again, for other marks.
const AGAIN_MS = 60_000;
const COUNTRIES = ['CN', 'US', 'RU', 'NL', 'BR', 'IN', 'KR', 'JP', 'DE', 'VN', 'TW', 'GB', 'ID', 'ZA', 'NG', 'AR', 'AU', 'CA', 'SE', null];
const CLASSES = ['scanner', 'scanner', 'scanner', 'backscatter', 'amplifier-probe', 'misconfiguration', 'spoofed', 'unknown'];

const HOSTILE = '\u202e<img src=x onerror=alert(1)>\u0000';
let made = 0;
const sighting = () => {
  made += 1;
  return {
    id: `made-${made}`, at: new Date().toISOString(),
    country: COUNTRIES[made % COUNTRIES.length], class: CLASSES[made % CLASSES.length],
    what: made % 7 ? 'tcp/23 mirai' : HOSTILE, href: `/telescope/sightings/made-${made}`,
  };
};
const state = () => ({
  mode: 'live', now: new Date().toISOString(), sampled: null, telescopes: [{ name: 'made', addresses: 65536 }],
  organisations: Array.from({ length: ORGANISATIONS }, (_, at) => ({
    key: `made-${at}`, name: at % 5 ? `Organisation ${at}` : HOSTILE, href: '/alerts',
    ranges: [{ share: 0.6 }, { share: 0.3 }, { share: 0.1 }],
  })),
  alerts: Array.from({ length: ORGANISATIONS }, (_, at) => ({
    id: `made-${at}`, organisation: `made-${at}`, place: (at * 0.618) % 1, role: at % 3 ? 'sender' : 'victim',
    state: ['told', 'waits', 'muted'][at % 3], what: 'mirai tcp/23', last: new Date().toISOString(), href: `/alerts/made-${at}`,
  })),
  sightings: Array.from({ length: 2000 }, sighting),
});
const burst = (many) => JSON.stringify({ sampled: null, sightings: Array.from({ length: many }, sighting) });

// In the page: the seconds at whose beginning and end all marks were in flight, as the view counts them.
const fullSeconds = (all, patience_ms) => new Promise((done) => {
  const figure = document.querySelector('figure.sky');
  const found = [];
  let before = 0;
  const observer = new MutationObserver(() => {
    const [frames, flying] = [Number(figure.dataset.frames), Number(figure.dataset.flying)];
    if (before === all && flying === all) found.push(frames);
    before = flying;
  });
  observer.observe(figure, { attributeFilter: ['data-flying'] });
  setTimeout(() => {
    observer.disconnect();
    done(found);
  }, patience_ms);
});

// `page` is within the console; its view port is this function's from here on. Answers with
// `{ map: { frames, least, seconds }, sphere: … }`: the median and the least of so many full seconds.
export async function sky(page, base) {
  const answer = (request) => {
    const { pathname } = new URL(request.url());
    if (pathname === '/telescope/state') {
      return request.respond({ contentType: 'application/json', body: JSON.stringify(state()) });
    }
    if (pathname === '/telescope/live') {
      const many = FLYING[new URL(page.url()).pathname.split('/').at(-1)];
      return request.respond({ contentType: 'text/event-stream', body: `retry: ${AGAIN_MS}\nevent: sightings\ndata: ${burst(many)}\n\n` });
    }
    return request.continue();
  };
  await page.setViewport({ width: 1440, height: 900, deviceScaleFactor: 1 });
  await page.setRequestInterception(true);
  page.on('request', answer);
  try {
    const found = {};
    for (const [view, all] of Object.entries(FLYING)) {
      const frames = [];
      for (let opening = 0; opening < OPENINGS; opening += 1) {
        await page.goto(new URL(`/telescope/${view}`, base).href, { waitUntil: 'domcontentloaded' });
        frames.push(...await page.evaluate(fullSeconds, all, WATCHED_MS));
      }
      if (frames.length < OPENINGS) throw new Error(`${view}: all ${all} marks were in flight for ${frames.length} seconds only`);
      frames.sort((a, b) => a - b);
      found[view] = { frames: frames[Math.floor(frames.length / 2)], least: frames[0], seconds: frames.length };
    }
    return found;
  } finally {
    page.off('request', answer);
    await page.setRequestInterception(false);
  }
}
