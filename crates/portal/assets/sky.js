// What the telescope's two live views, map and sphere, have in common: the marks, the clock, what comes from the server, and
// what a hand, a key and a reader of screens can do with them. The program puts this file before each of the two (names of
// assets carry hashes, so that neither could import it); what draws is theirs.
//
// state once, then a stream of bursts → `take` → slots of typed arrays, the oldest given up → `draw`, as often as the screen
//
// Nothing here decides or counts anything: each mark is a record of the server's, with its address. What the server sends is
// only ever drawn as text, and only addresses of this console are followed.
const LINGER_S = 1;
const STILL_MS = 3000;
const RETRY_MS = 10_000;
const REACH_PX = 14;
const RATIO_MAX = 2;
const SLOW_MS = 1000 / 28;
const PATIENCE_MS = 1500;
const WIDE_PX = 600;
const FONT = 'system-ui, "Noto Sans JP", "Hiragino Sans", "Noto Sans CJK JP", sans-serif';
const COUNT = new Intl.NumberFormat('en');
const JST = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Tokyo', dateStyle: 'short', timeStyle: 'medium' });

const dated = (time) => (Number.isNaN(Date.parse(time)) ? '' : `${JST.format(new Date(time))} JST`);
// Text of others, made visible and short: no control, no change of direction.
const shown = (text, most = 80) => {
  const plain = String(text ?? '').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
  const letters = [...plain.slice(0, 4 * most)];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : plain;
};
const ours = (href) => (typeof href === 'string' && /^\/(?![/\\])/.test(href) ? href : null);

// Where a mark lies among those like it: always the same for one id (FNV-1a, with its bits mixed at the end).
const hashed = (id) => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
};

const fetched = async (path) => {
  const answer = await fetch(path, { headers: { Accept: 'application/json' } });
  if (!answer.ok) throw new Error(`the console answered ${answer.status}`);
  return answer.json();
};

// A canvas nobody sees, for what does not change from frame to frame.
const layer = (width, height, ratio) => {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  return { canvas, context };
};

// The classes as the legend draws them: one truth for forms, dashes and colours.
const legend = (figure) => [...figure.querySelectorAll('[data-class]')].map((line) => ({
  name: line.dataset.class,
  tail: [...line.dataset.tail].map((bit) => bit === '1'),
  form: new Path2D(line.querySelector('path:not(.tail)').getAttribute('d')),
  colour: getComputedStyle(line).getPropertyValue('--k').trim(),
}));

// Marks in flight are written as pixels and laid over the picture at once: to draw a small picture for each took three times as
// long. Nothing is read from a canvas, which browsers that guard against being told apart would answer with noise.
class Dust {
  #stencils;
  #side;
  #layer;
  #image;
  #pixels;
  #at;
  #ratio;
  #written = false;

  constructor({ classes, size, ratio, left, top, wide, high }) {
    this.#ratio = ratio;
    this.#side = Math.round(size * ratio);
    // On whole pixels, so that it is copied as it is.
    this.#at = [left, top].map((at) => Math.floor(at * ratio) / ratio);
    this.#layer = layer(wide, high, ratio);
    const { canvas, context } = this.#layer;
    this.#stencils = classes.map((one) => this.#stencil(one, context));
    this.#image = context.createImageData(canvas.width, canvas.height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  // A class's form in pixels: red, green, blue, and how much of the pixel it covers, by four times four samples.
  #stencil({ form, colour }, context) {
    const side = this.#side;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colour;
    const rgb = [1, 3, 5].map((at) => parseInt(context.fillStyle.slice(at, at + 2), 16));
    const bytes = new Uint8ClampedArray(4 * side * side);
    for (let at = 0; at < side * side; at += 1) {
      let covered = 0;
      for (let part = 0; part < 16; part += 1) {
        const x = (at % side) + (0.5 + (part % 4)) / 4;
        const y = Math.floor(at / side) + (0.5 + Math.floor(part / 4)) / 4;
        if (context.isPointInPath(form, (x / side - 0.5) * 12, (y / side - 0.5) * 12, 'evenodd')) covered += 1;
      }
      bytes.set([...(covered ? rgb : [0, 0, 0]), (255 * covered) / 16], 4 * at);
    }
    return new Uint32Array(bytes.buffer);
  }

  write(kind, x, y) {
    const [pixels, side, { width, height }] = [this.#pixels, this.#side, this.#image];
    if (!this.#written) pixels.fill(0);
    this.#written = true;
    const left = Math.round((x - this.#at[0]) * this.#ratio - side / 2);
    const top = Math.round((y - this.#at[1]) * this.#ratio - side / 2);
    if (left < 0 || top < 0 || left + side > width || top + side > height) return;
    const stencil = this.#stencils[kind];
    for (let row = 0, at = 0; row < side; row += 1) {
      const begin = (top + row) * width + left;
      for (let column = 0; column < side; column += 1, at += 1) {
        const pixel = stencil[at];
        // An edge that covers less than half leaves what was there.
        if (pixel && (pixel >>> 31 || !pixels[begin + column])) pixels[begin + column] = pixel;
      }
    }
  }

  lay(context) {
    if (!this.#written) return;
    this.#written = false;
    const { canvas, context: over } = this.#layer;
    over.putImageData(this.#image, 0, 0);
    context.drawImage(canvas, this.#at[0], this.#at[1], canvas.width / this.#ratio, canvas.height / this.#ratio);
  }
}

// The last sightings, in a ring of slots.
class Marks {
  constructor(most, classes) {
    Object.assign(this, { most, next: 0, count: 0, newest: '', ids: new Map() });
    this.kinds = new Map(classes.map(({ name }, kind) => [name, kind]));
    this.born = new Float64Array(most);
    this.kind = new Uint8Array(most);
    this.hash = new Uint32Array(most);
    this.record = new Array(most).fill(null);
  }

  add(sighting, born) {
    const slot = this.next;
    if (this.record[slot]) this.ids.delete(this.record[slot].id);
    this.next = (slot + 1) % this.most;
    this.count = Math.min(this.count + 1, this.most);
    this.ids.set(sighting.id, slot);
    this.born[slot] = born;
    this.kind[slot] = this.kinds.get(sighting.class) ?? this.kinds.get('unknown');
    this.hash[slot] = hashed(String(sighting.id));
    this.record[slot] = sighting;
    if (sighting.at > this.newest) this.newest = sighting.at;
    return slot;
  }

  // The slot of the so many newest mark.
  back(by) {
    return (this.next - 1 - by + 2 * this.most) % this.most;
  }
}

// Lives in the figure. `make` makes what draws, the view: `resize`, `put` (a mark came into a slot), `state` and `alert` (what
// organisations and alerts there are changed), `draw` (answers whether anything moves), `where` and `whereAlert` (the place of a
// mark into an array, or false while it is not to be seen), how many are `flying`, and how many alerts it draws at most.
async function sky(figure, { most, make }) {
  const canvas = figure.querySelector('canvas');
  const context = canvas.getContext('2d', { alpha: false });
  const label = figure.querySelector('[data-live]');
  const told = figure.querySelector('[data-mark]');
  const pauser = figure.querySelector('[data-pause]');
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const classes = legend(figure);
  const marks = new Marks(most, classes);
  const alerts = new Map();
  const world = await fetched(figure.dataset.world);

  let [width, height, ratio, ratioMost] = [0, 0, 1, RATIO_MAX];
  // The pictures' own time, in milliseconds: it stands while they are paused.
  let [stopped, skipped] = [null, 0];
  const clock = () => (stopped ?? performance.now()) - skipped;
  let [mode, sampled, reached, why] = ['live', null, false, ''];
  let held = [];
  let [wanted, last, frames, since, slow] = [0, 0, 0, 0, 0];

  // One small picture of each class, at the canvas's resolution, for the marks that stay.
  const sprites = (size) => classes.map(({ form, colour }) => {
    const drawn = layer(size, size, ratio);
    drawn.context.scale(size / 12, size / 12);
    drawn.context.translate(6, 6);
    drawn.context.fillStyle = colour;
    drawn.context.fill(form, 'evenodd');
    return drawn.canvas;
  });
  const view = make({ marks, alerts, classes, world });

  // What is picked, by pointer or by key: a slot with its record (a slot is given to another in time), or an alert, without a slot.
  let [picked, names] = [null, new Map()];
  const isAlert = (mark) => mark.slot === undefined;
  const same = (one, other) => one?.record.id === other?.record.id && one?.slot === other?.slot;
  const holds = (mark) => mark && (isAlert(mark) ? alerts.has(mark.record.id) : marks.record[mark.slot] === mark.record);
  const at = new Float64Array(2);
  const place = (mark) => (isAlert(mark) ? view.whereAlert(alerts.get(mark.record.id), at) : view.where(mark.slot, clock(), at));
  const ofAlert = ({ last, organisation, role, what, state }) => [
    dated(last), shown(names.get(organisation) ?? organisation), role === 'victim' ? 'is attacked' : 'sends', shown(what),
    state === 'told' ? 'told' : state === 'waits' ? 'its message waits' : 'muted or settled',
  ];
  const ofSighting = (record) => [
    dated(record.at), shown(record.country ?? 'country not known', 20), shown(record.class, 20), shown(record.what),
  ];
  const said = (mark) => (isAlert(mark) ? ofAlert(mark.record) : ofSighting(mark.record)).filter(Boolean).join(' · ');

  const pick = (mark) => {
    if (same(mark, picked)) return;
    picked = mark;
    canvas.classList.toggle('on', Boolean(mark));
    told.replaceChildren();
    if (mark) {
      told.append(`${said(mark)} `);
      const href = ours(mark.record.href);
      if (href) {
        const link = document.createElement('a');
        link.href = href;
        link.textContent = 'Open the record';
        told.append(link);
      }
    }
    touch();
  };

  // Around what is picked: a ring, and its words beside it, inside the picture.
  const point = () => {
    if (!holds(picked) || !place(picked)) return;
    const [x, y] = at;
    context.strokeStyle = '#ffffff';
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x, y, isAlert(picked) ? 15 : 9, 0, 2 * Math.PI);
    context.stroke();
    context.font = `13px ${FONT}`;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    // In a narrow picture the line below it says the rest.
    const words = width < WIDE_PX ? shown(picked.record.what, 30) : said(picked);
    const long = context.measureText(words).width;
    const left = Math.max(6, Math.min(x + 18, width - long - 14));
    const top = y < 40 ? y + 26 : y - 22;
    context.fillStyle = 'rgb(0 0 0 / .82)';
    context.fillRect(left - 6, top - 11, long + 12, 22);
    context.fillStyle = '#ffffff';
    context.fillText(words, left, top);
  };

  const say = () => {
    const state = document.createElement('b');
    state.textContent = !reached ? '○ not live' : mode === 'replay' ? '↻ replay' : '● live';
    const more = [why];
    if (sampled > 1) more.push(`1:${COUNT.format(sampled)} sampled, one sighting of ${COUNT.format(sampled)} is drawn`);
    more.push(`${COUNT.format(marks.count)} sightings${marks.count === most ? ', the newest' : ''}`);
    if (view.alertsMost) more.push(`${COUNT.format(alerts.size)} alerts${alerts.size === view.alertsMost ? ', the newest' : ''}`);
    if (stopped !== null) more.push(`paused${held.length ? `, ${COUNT.format(held.length)} came since` : ''}`);
    else if (calm.matches) more.push('still, as this browser asks for');
    if (ratioMost < Math.min(devicePixelRatio, RATIO_MAX)) more.push('drawn more coarsely, to keep up');
    label.replaceChildren(state, ` ${more.filter(Boolean).join(' · ')}`);
  };
  let saying = 0;
  // Not more often than it can be read.
  const saySoon = () => { saying ||= setTimeout(() => { saying = 0; say(); }, 500); };

  const touch = () => { if (!wanted && !document.hidden) wanted = requestAnimationFrame(frame); };
  const frame = (time) => {
    wanted = 0;
    if (!width) return;
    const moves = view.draw(context, clock(), calm.matches) && stopped === null && !calm.matches;
    point();
    const passed = last ? time - last : 0;
    last = moves ? time : 0;
    if (!passed) [frames, since] = [0, time];
    else frames += 1;
    if (time - since >= 1000 || !moves) {
      figure.dataset.frames = moves ? Math.round((frames * 1000) / (time - since)) : 0;
      figure.dataset.flying = view.flying;
      [frames, since] = [0, time];
    }
    if (!moves) return;
    coarsen(passed);
    touch();
  };
  // Where frames take too long for long, finer pixels are given up before motion is.
  const coarsen = (passed) => {
    slow = passed > SLOW_MS ? slow + Math.min(passed, 200) : Math.max(0, slow - passed);
    if (slow < PATIENCE_MS || ratio <= 1) return;
    slow = 0;
    ratioMost = 1;
    resize();
    saySoon();
  };

  const resize = () => {
    [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    ratio = Math.min(devicePixelRatio || 1, ratioMost);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    view.resize({ width, height, ratio, sprites });
    touch();
  };

  // A burst, newest first, is spread over a second so that it does not flicker; what was there before lies where it landed.
  const take = (sightings, over_ms) => {
    if (!Array.isArray(sightings)) return;
    const fresh = sightings.filter((one) => one && !marks.ids.has(one.id)).slice(0, most).reverse();
    if (stopped !== null) {
      held = [...held, ...fresh].slice(-most);
    } else {
      const from = clock();
      fresh.forEach((one, at) => {
        const born = over_ms === null || calm.matches ? -Infinity : from + (over_ms * (at + 1)) / fresh.length;
        view.put(marks.add(one, born));
      });
    }
    saySoon();
    // A still picture is drawn anew by its own slow beat.
    if (over_ms === null || !calm.matches) touch();
  };
  const alarm = (list) => {
    if (!Array.isArray(list)) return;
    for (const alert of list) {
      alerts.delete(alert.id);
      alerts.set(alert.id, alert);
    }
    for (const id of alerts.keys()) {
      if (alerts.size <= view.alertsMost) break;
      alerts.delete(id);
    }
    view.alert();
    saySoon();
    if (!calm.matches) touch();
  };
  const whole = (state) => {
    mode = state.mode;
    sampled = state.sampled;
    alerts.clear();
    names = new Map((state.organisations ?? []).map(({ key, name }) => [key, name]));
    view.state(state);
    // The server's are newest first; here the newest is last.
    alarm([...(state.alerts ?? [])].sort((a, b) => (a.last < b.last ? -1 : 1)));
    const newest = marks.newest;
    take((state.sightings ?? []).filter(({ at }) => at >= newest), null);
  };

  const read = async () => {
    whole(await fetched(figure.dataset.state));
  };
  const lost = (what) => {
    reached = false;
    why = what;
    say();
  };
  let source = null;
  const listen = async () => {
    try {
      await read();
    } catch (error) {
      lost(`the marks could not be read (${shown(error.message)}); it is tried again`);
      setTimeout(listen, RETRY_MS);
      return;
    }
    source?.close();
    source = new EventSource(figure.dataset.stream);
    let again = false;
    const on = (name, then) => source.addEventListener(name, ({ data }) => then(JSON.parse(data)));
    on('sightings', (burst) => {
      sampled = burst.sampled;
      take(burst.sightings, LINGER_S * 1000);
    });
    on('alerts', (burst) => alarm(burst.alerts));
    on('state', whole);
    source.addEventListener('open', () => {
      [reached, why] = [true, ''];
      say();
      // What came while nobody listened.
      if (again) read().catch(() => {});
      again = true;
    });
    source.addEventListener('error', ({ target }) => {
      lost('the picture is of a moment ago');
      if (target.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
    });
  };

  const pause = () => {
    if (stopped === null) {
      stopped = performance.now();
    } else {
      skipped += performance.now() - stopped;
      stopped = null;
      // They flew while nobody looked.
      const came = held;
      held = [];
      take(came.reverse(), null);
    }
    pauser.textContent = stopped === null ? 'Pause' : 'Go on';
    say();
    touch();
  };

  // The mark nearest to a place, within reach: alerts before sightings, they are fewer and weigh more.
  const nearest = (x, y) => {
    let [found, least] = [null, REACH_PX * REACH_PX];
    const near = (mark, ok) => {
      const gap = ok ? (at[0] - x) ** 2 + (at[1] - y) ** 2 : Infinity;
      if (gap < least) [found, least] = [mark(), gap];
    };
    for (const record of alerts.values()) near(() => ({ record }), view.whereAlert(record, at));
    if (found) return found;
    for (let back = 0; back < marks.count; back += 1) {
      const slot = marks.back(back);
      near(() => ({ slot, record: marks.record[slot] }), view.where(slot, clock(), at));
    }
    return found;
  };
  const ordered = () => {
    const list = [];
    for (const record of alerts.values()) if (view.whereAlert(record, at)) list.unshift({ record });
    for (let back = 0; back < marks.count; back += 1) {
      const slot = marks.back(back);
      if (view.where(slot, clock(), at)) list.push({ slot, record: marks.record[slot] });
    }
    return list;
  };
  const step = (by) => {
    const list = ordered();
    const here = list.findIndex((mark) => same(mark, picked));
    const next = here < 0 ? 0 : Math.min(Math.max(here + by, 0), list.length - 1);
    if (list[next]) pick(list[next]);
  };
  const enter = (beside) => {
    const href = holds(picked) && ours(picked.record.href);
    if (!href) return;
    if (beside) window.open(href, '_blank', 'noopener');
    else location.assign(href);
  };

  const keys = {
    ArrowLeft: () => step(-1), ArrowUp: () => step(-1), ArrowRight: () => step(1), ArrowDown: () => step(1),
    Home: () => { picked = null; step(0); }, Escape: () => pick(null), Enter: () => enter(false), ' ': () => pause(),
  };
  // The canvas is an `application`: a reader of screens must hand on the arrow keys, which it would else use to read, and hears in
  // the live line below what they reach. As an `img` it could not be operated, and as a `listbox` it would have to hold thousands
  // of elements that come and go. Who would rather read has the same records as a table, by the link before it.
  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    // Not also a key of the console's.
    event.stopPropagation();
    keys[event.key]();
  });
  let looking = 0;
  canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
    looking ||= requestAnimationFrame(() => {
      looking = 0;
      pick(nearest(offsetX, offsetY));
    });
  });
  canvas.addEventListener('click', ({ offsetX, offsetY, ctrlKey, metaKey, pointerType }) => {
    const found = nearest(offsetX, offsetY);
    // A finger has not hovered: it picks first, and opens what is picked.
    const known = found && same(found, picked);
    pick(found);
    if (found && (known || pointerType === 'mouse')) enter(ctrlKey || metaKey);
  });
  pauser.addEventListener('click', pause);
  pauser.hidden = false;
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) touch();
  });
  // A page that is kept for the way back listens to nothing meanwhile.
  addEventListener('pagehide', () => source?.close());
  addEventListener('pageshow', ({ persisted }) => { if (persisted) listen(); });
  calm.addEventListener('change', () => { say(); touch(); });
  setInterval(() => { if (calm.matches && stopped === null) touch(); }, STILL_MS);
  canvas.hidden = false;
  new ResizeObserver(resize).observe(canvas);
  resize();
  say();
  await listen();
}
