// The sphere: the globe is the Internet and turns slowly; each ring around it is an organisation, and stands still, so that its
// alerts and its name can be found again; the outer ring is the telescope, to which each sighting flies from the country of its
// sender. (The file `sky.js` is put before this one.)
//
// Lengths are in radii of the globe, seen from afar and from a little above (no perspective): x to the right, y up, z towards
// the reader.
const SPHERE_MARKS = 5000;
const SPHERE_FLIGHT_MS = 6000;
const TURN_MS = 150_000;
// What it shows first: Japan.
const FACING = (140 * Math.PI) / 180;
const LOOK_DOWN = (30 * Math.PI) / 180;
const TELESCOPE = 2.05;
const RINGS = { wide: 24, narrow: 8 };
const RINGS_FROM = 1.24;
const RINGS_TO = 1.84;
const TILT = [(6 * Math.PI) / 180, (24 * Math.PI) / 180];
const DOTS = 5200;
const ALERTS_MOST = 300;
const REST_MS = 2000;
// The least room for a name on either side.
const NAME_PX = 140;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
const [DOWN_COS, DOWN_SIN] = [Math.cos(LOOK_DOWN), Math.sin(LOOK_DOWN)];
const ALERT = { sender: '#cf4420', senderText: '#ff9474', victim: '#f2cf4a', muted: '#98a3b0' };

// Points spread evenly over the sphere (a Fibonacci lattice) that lie on land: longitude and latitude in radians.
const dotted = ({ land, scale }) => {
  const rings = land.map((steps) => {
    const [xs, ys] = [[steps[0]], [steps[1]]];
    for (let at = 2; at < steps.length; at += 2) {
      xs.push(xs.at(-1) + steps[at]);
      ys.push(ys.at(-1) + steps[at + 1]);
    }
    return { xs, ys, left: Math.min(...xs), right: Math.max(...xs), low: Math.min(...ys), high: Math.max(...ys) };
  });
  const crossed = ({ xs, ys }, x, y) => {
    let inside = false;
    for (let at = 0, before = xs.length - 1; at < xs.length; before = at, at += 1) {
      if (ys[at] > y !== ys[before] > y && x < ((xs[before] - xs[at]) * (y - ys[at])) / (ys[before] - ys[at]) + xs[at]) inside = !inside;
    }
    return inside;
  };
  const dots = [];
  for (let at = 0; at < DOTS; at += 1) {
    const lat = Math.asin(1 - (2 * (at + 0.5)) / DOTS);
    const lon = ((at * GOLDEN) % (2 * Math.PI)) - Math.PI;
    const [x, y] = [((lon * 180) / Math.PI) * scale, ((lat * 180) / Math.PI) * scale];
    let inside = false;
    for (const ring of rings) {
      if (y < ring.low || y > ring.high) continue;
      // A ring may lie a turn or two off, where it crosses the 180th meridian.
      for (let turned = x - 720 * scale; turned <= x + 720 * scale; turned += 360 * scale) {
        if (turned >= ring.left && turned <= ring.right && crossed(ring, turned, y)) inside = !inside;
      }
    }
    if (inside) dots.push(lon, lat);
  }
  return dots;
};

function sphere({ marks, alerts, classes, world }) {
  const dots = dotted(world);
  const dotX = new Float32Array(dots.length / 2);
  const [dotY, dotZ] = [new Float32Array(dotX.length), new Float32Array(dotX.length)];
  for (let at = 0; at < dotX.length; at += 1) {
    const [lon, lat] = [dots[2 * at], dots[2 * at + 1]];
    [dotX[at], dotY[at], dotZ[at]] = [Math.cos(lat) * Math.sin(lon), Math.sin(lat), Math.cos(lat) * Math.cos(lon)];
  }
  // Where each mark starts and where it lands, both on the sphere of directions, and how far out it lands.
  const from = new Float32Array(3 * SPHERE_MARKS);
  const toX = new Float32Array(SPHERE_MARKS);
  const toZ = new Float32Array(SPHERE_MARKS);
  const out = new Float32Array(SPHERE_MARKS);
  const landed = new Uint8Array(SPHERE_MARKS);
  let [organisations, rings, ringOf, left] = [[], [], new Map(), 0];
  let [back, rest, front, rested, changed] = [null, null, null, 0, false];
  let [width, height, ratio, size, sprites, badges] = [0, 0, 1, 7, [], null];
  const snapped = (at) => Math.round((at - size / 2) * ratio) / ratio;
  let [centreX, centreY, radius] = [0, 0, 1];
  let dust = null;

  const turn = (clock) => (clock / TURN_MS) * 2 * Math.PI - FACING;
  const screenX = (x) => centreX + x * radius;
  const screenY = (y, z) => centreY - (y * DOWN_COS - z * DOWN_SIN) * radius;
  const depth = (y, z) => y * DOWN_SIN + z * DOWN_COS;
  const hidden = (x, y) => (x - centreX) ** 2 + (y - centreY) ** 2 < radius * radius;

  const put = (slot, clock) => {
    const hash = marks.hash[slot];
    const { country } = marks.record[slot];
    const found = typeof country === 'string' && Object.hasOwn(world.countries, country) ? world.countries[country] : null;
    // A mark that landed long ago is given the turn of its hash: where on the telescope's ring says nothing.
    const born = marks.born[slot];
    const turned = Number.isFinite(born) ? turn(born) : (hash / 0x100000000) * 2 * Math.PI;
    let [lon, lat] = [(hash & 0xffff) / 0xffff * 2 * Math.PI, -Math.PI / 2];
    if (found) {
      const degrees = Math.PI / 180 / world.scale;
      const spread = Math.max(found[2] * degrees, 0.03) * Math.sqrt((hash >>> 16) / 0xffff);
      lat = Math.min(1.55, Math.max(-1.55, found[1] * degrees + spread * Math.sin(lon)));
      lon = found[0] * degrees + (spread * Math.cos(lon)) / Math.max(0.2, Math.cos(lat)) + turned;
    }
    from[3 * slot] = Math.cos(lat) * Math.sin(lon);
    from[3 * slot + 1] = Math.sin(lat);
    from[3 * slot + 2] = Math.cos(lat) * Math.cos(lon);
    const aim = lon + (((hash >>> 4) & 0xff) / 0xff - 0.5) * 0.9 + 0.5;
    toX[slot] = Math.sin(aim);
    toZ[slot] = Math.cos(aim);
    out[slot] = TELESCOPE + (((hash >>> 12) & 0xff) / 0xff - 0.5) * 0.14;
    landed[slot] = 0;
    changed = true;
  };

  const restX = (slot) => screenX(toX[slot] * out[slot]);
  const restY = (slot) => screenY(0, toZ[slot] * out[slot]);
  const land = (slot, alpha) => {
    landed[slot] = 1;
    const [x, y] = [restX(slot), restY(slot)];
    if (toZ[slot] < 0 && hidden(x, y)) return;
    rest.context.globalAlpha = alpha * (toZ[slot] < 0 ? 0.6 : 1);
    rest.context.drawImage(sprites[marks.kind[slot]], snapped(x), snapped(y), size, size);
  };

  // Rings that have something to say first, then in the server's order.
  const arrange = () => {
    const last = new Map();
    for (const { organisation, last: when } of alerts.values()) if (!(last.get(organisation) > when)) last.set(organisation, when);
    const most = width < WIDE_PX ? RINGS.narrow : RINGS.wide;
    const chosen = [...organisations]
      .sort((a, b) => (last.get(b.key) ?? '').localeCompare(last.get(a.key) ?? ''))
      .slice(0, most);
    left = organisations.length - chosen.length;
    // In the server's order again, so that a new alert moves no ring that stays.
    rings = organisations.filter((one) => chosen.includes(one)).map((organisation, at, { length }) => {
      const [around, lean] = [at * GOLDEN + 0.6, TILT[0] + (TILT[1] - TILT[0]) * ((at * 0.618) % 1)];
      const normal = [Math.sin(lean) * Math.cos(around), Math.cos(lean), Math.sin(lean) * Math.sin(around)];
      const long = Math.hypot(normal[1], normal[2]);
      // Two directions in the ring's plane: one across the picture's x, one towards the reader.
      const u = [0, normal[2] / long, -normal[1] / long].map((part) => -part);
      const v = [normal[1] * u[2] - normal[2] * u[1], normal[2] * u[0] - normal[0] * u[2], normal[0] * u[1] - normal[1] * u[0]];
      const far = RINGS_FROM + ((RINGS_TO - RINGS_FROM) * (at + 0.5)) / length;
      const total = (organisation.ranges ?? []).reduce((sum, { share }) => sum + Math.max(0, share), 0);
      let begun = 0;
      const parts = total > 0 ? organisation.ranges.map(({ share }) => {
        const part = [begun, begun + Math.max(0, share) / total];
        [, begun] = part;
        return part;
      }) : [[0, 1]];
      return { organisation, u, v, far, parts, at };
    });
    ringOf = new Map(rings.map((ring) => [ring.organisation.key, ring]));
  };

  const spot = new Float64Array(3);
  // A place of a ring, 0 to 1, on the picture, and how near it is to the reader.
  const onRing = ({ u, v, far }, place) => {
    const angle = place * 2 * Math.PI;
    const [a, b] = [Math.cos(angle) * far, Math.sin(angle) * far];
    const [x, y, z] = [a * u[0] + b * v[0], a * u[1] + b * v[1], a * u[2] + b * v[2]];
    spot[0] = screenX(x);
    spot[1] = screenY(y, z);
    spot[2] = depth(y, z);
    return spot;
  };

  // One half of all rings: a part of a ring for each range, by turns lighter and darker.
  const drawRings = (context, near) => {
    context.lineWidth = near ? 2 : 1.25;
    for (const ring of rings) {
      for (const [at, [begin, end]] of ring.parts.entries()) {
        context.strokeStyle = near ? ['#5f7c9c', '#425a76'][at % 2] : ['#33455a', '#27364a'][at % 2];
        const gap = ring.parts.length > 1 ? Math.min(0.005, (end - begin) / 4) : 0;
        const steps = Math.max(2, Math.ceil((end - begin) * 180));
        context.beginPath();
        let down = false;
        for (let step = 0; step <= steps; step += 1) {
          const [x, y, z] = onRing(ring, begin + gap + ((end - begin - 2 * gap) * step) / steps);
          if (z >= 0 !== near) down = false;
          else if (down) context.lineTo(x, y);
          else {
            context.moveTo(x, y);
            down = true;
          }
        }
        context.stroke();
      }
    }
  };

  const drawTelescope = (context, near) => {
    context.strokeStyle = near ? '#1d2631' : '#19212b';
    context.lineWidth = 0.16 * radius;
    context.beginPath();
    const [far, begin] = [TELESCOPE * radius, near ? 0 : Math.PI];
    context.ellipse(centreX, centreY, far, far * DOWN_SIN, 0, begin, begin + Math.PI);
    context.stroke();
  };

  // Names: beside the picture, each led to the outermost point of its ring; where there is no room, numbers and a list.
  const drawNames = (context) => {
    context.textBaseline = 'middle';
    context.lineWidth = 1;
    if (width < WIDE_PX) return listNames(context);
    context.font = `13px ${FONT}`;
    const sides = [[], []];
    for (const ring of rings) {
      const right = ring.at % 2;
      // The ring's outermost place: where its x is greatest, or least.
      const place = Math.atan2(ring.v[0], ring.u[0]) / (2 * Math.PI) + (right ? 0 : 0.5);
      const [x, y] = onRing(ring, place);
      sides[right].push({ x, y, name: ring.organisation.name });
    }
    for (const [right, names] of sides.entries()) {
      names.sort((a, b) => a.y - b.y);
      const apart = Math.min(24, (height - 40) / Math.max(1, names.length));
      const middle = names.reduce((sum, { y }) => sum + y, 0) / Math.max(1, names.length);
      const first = Math.min(Math.max(20, middle - ((names.length - 1) * apart) / 2), height - 20 - (names.length - 1) * apart);
      const edge = centreX + (right ? 1 : -1) * (TELESCOPE + 0.16) * radius;
      context.textAlign = right ? 'left' : 'right';
      for (const [at, { x, y, name }] of names.entries()) {
        const level = first + at * apart;
        context.strokeStyle = '#4c5f75';
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(edge, level);
        context.stroke();
        context.fillStyle = '#e9edf2';
        context.fillRect(x - 2, y - 2, 4, 4);
        context.fillText(fitted(context, name, (right ? width - edge : edge) - 18), edge + (right ? 6 : -6), level);
      }
    }
    if (left > 0) {
      context.textAlign = 'left';
      context.fillStyle = '#a9b4c1';
      context.fillText(`${COUNT.format(left)} more organisations in the table`, 16, height - 16);
    }
    return undefined;
  };
  const listNames = (context) => {
    const top = centreY + 1.5 * radius + 14;
    context.font = `12px ${FONT}`;
    context.lineJoin = 'round';
    context.strokeStyle = '#10151c';
    for (const [at, ring] of rings.entries()) {
      const place = Math.atan2(ring.v[0], ring.u[0]) / (2 * Math.PI) + (at % 2 ? 0 : 0.5);
      const [x, y] = onRing(ring, place);
      context.textAlign = at % 2 ? 'left' : 'right';
      context.fillStyle = '#e9edf2';
      context.lineWidth = 3;
      context.strokeText(String(at + 1), x + (at % 2 ? 3 : -3), y);
      context.fillText(String(at + 1), x + (at % 2 ? 3 : -3), y);
      const column = at % 2 ? width / 2 + 4 : 12;
      context.textAlign = 'left';
      context.fillText(fitted(context, `${at + 1} ${ring.organisation.name}`, width / 2 - 20), column, top + 18 * Math.floor(at / 2));
    }
    if (left > 0) {
      context.fillStyle = '#a9b4c1';
      context.fillText(`${COUNT.format(left)} more in the table`, 12, top + 18 * Math.ceil(rings.length / 2));
    }
  };
  const nameTelescope = (context) => {
    const beside = (TELESCOPE + 0.12) * radius;
    context.font = `12px ${FONT}`;
    context.textAlign = 'right';
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = '#10151c';
    context.fillStyle = '#a9b4c1';
    const [x, y] = [Math.max(68, centreX - 0.64 * beside), centreY + 0.77 * beside * DOWN_SIN + 10];
    context.strokeText('telescope', x, y);
    context.fillText('telescope', x, y);
  };
  const fitted = (context, name, room) => {
    for (let most = 44; most > 1; most -= 1) {
      const short = shown(name, most);
      if (context.measureText(short).width <= room) return short;
    }
    return '…';
  };

  const drawBack = () => {
    back = layer(width, height, ratio);
    const { context } = back;
    context.fillStyle = '#10151c';
    context.fillRect(0, 0, width, height);
    drawTelescope(context, false);
    drawTelescope(context, true);
    drawRings(context, false);
    front = layer(width, height, ratio);
    drawRings(front.context, true);
    drawNames(front.context);
    nameTelescope(front.context);
    rest = null;
  };

  const drawRest = (clock) => {
    rest ??= layer(width, height, ratio);
    rest.context.globalAlpha = 1;
    rest.context.drawImage(back.canvas, 0, 0, width, height);
    for (let by = marks.count - 1; by >= 0; by -= 1) {
      const slot = marks.back(by);
      if (marks.born[slot] + SPHERE_FLIGHT_MS <= clock) land(slot, 0.6 - (0.4 * by) / SPHERE_MARKS);
    }
    [rested, changed] = [clock, false];
  };

  // What an alert looks like: form by role, filled when told, bordered when not; all once, at the picture's resolution.
  const drawBadges = () => {
    badges = {};
    for (const role of ['sender', 'victim']) {
      for (const state of ['told', 'waits', 'muted']) {
        const drawn = layer(24, 24, ratio);
        const { context } = drawn;
        context.lineWidth = 1.5;
        if (role === 'sender') {
          context.strokeStyle = state === 'muted' ? ALERT.muted : ALERT.sender;
          context.fillStyle = state === 'told' ? ALERT.sender : '#10151c';
          context.beginPath();
          context.roundRect(2, 2, 20, 20, 3);
          context.fill();
          context.stroke();
          context.fillStyle = { told: '#ffffff', waits: ALERT.senderText, muted: ALERT.muted }[state];
          context.font = `700 14px ${FONT}`;
          context.textAlign = 'center';
          context.textBaseline = 'middle';
          context.fillText('警', 12, 12.5);
        } else {
          context.strokeStyle = state === 'muted' ? ALERT.muted : ALERT.victim;
          context.fillStyle = state === 'told' ? ALERT.victim : '#10151c';
          context.lineJoin = 'round';
          context.beginPath();
          context.moveTo(12, 3);
          context.lineTo(21, 20);
          context.lineTo(3, 20);
          context.closePath();
          context.fill();
          context.stroke();
        }
        badges[`${role} ${state}`] = drawn.canvas;
      }
    }
  };
  const badge = ({ role, state }) => {
    const known = state === 'told' || state === 'waits' ? state : 'muted';
    return badges[`${role === 'victim' ? 'victim' : 'sender'} ${known}`];
  };

  const drawGlobe = (context, clock) => {
    context.fillStyle = '#18202a';
    context.beginPath();
    context.arc(centreX, centreY, radius, 0, 2 * Math.PI);
    context.fill();
    context.strokeStyle = '#3a4a5c';
    context.lineWidth = 1;
    context.stroke();
    const [cos, sin] = [Math.cos(turn(clock)), Math.sin(turn(clock))];
    const dot = Math.max(1, radius / 110);
    context.fillStyle = '#64788e';
    for (let at = 0; at < dotX.length; at += 1) {
      const z = dotZ[at] * cos - dotX[at] * sin;
      if (depth(dotY[at], z) < 0.05) continue;
      context.fillRect(screenX(dotX[at] * cos + dotZ[at] * sin) - dot / 2, screenY(dotY[at], z) - dot / 2, dot, dot);
    }
  };

  // Where a mark is on its way, on the picture; false while it is behind the globe.
  const fly = (slot, part, at) => {
    // Fast off the ground, slow to land.
    const way = 1 - (1 - part) * (1 - part);
    const x = from[3 * slot] + (toX[slot] - from[3 * slot]) * way;
    const y = from[3 * slot + 1] * (1 - way);
    const z = from[3 * slot + 2] + (toZ[slot] - from[3 * slot + 2]) * way;
    const far = (1 + (out[slot] - 1) * way) / (Math.sqrt(x * x + y * y + z * z) || 1);
    at[0] = screenX(x * far);
    at[1] = screenY(y * far, z * far);
    return depth(y, z) >= 0 || !hidden(at[0], at[1]);
  };

  const drawAlerts = (context) => {
    context.lineWidth = 1;
    for (const alert of alerts.values()) {
      const ring = ringOf.get(alert.organisation);
      if (!ring) continue;
      const [x, y, z] = onRing(ring, alert.place);
      const behind = z < 0;
      context.globalAlpha = behind ? 0.75 : 1;
      const open = alert.state === 'told' || alert.state === 'waits';
      context.strokeStyle = !open ? ALERT.muted : alert.role === 'victim' ? ALERT.victim : ALERT.senderText;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(centreX + (x - centreX) / ring.far, centreY + (y - centreY) / ring.far);
      context.stroke();
      // An alert is never hidden, not even behind the globe: it is only smaller there.
      const wide = (behind ? 18 : 24) * (width < WIDE_PX ? 0.8 : 1);
      context.drawImage(badge(alert), x - wide / 2, y - wide / 2, wide, wide);
    }
    context.globalAlpha = 1;
  };

  const place = new Float64Array(2);
  const draw = (context, clock, still) => {
    if (!rest || (changed && clock - rested > REST_MS) || still) drawRest(clock);
    // The layer is drawn before what lands in this frame, so that it need not be copied.
    context.drawImage(rest.canvas, 0, 0, width, height);
    drawGlobe(context, still ? 0 : clock);
    context.drawImage(front.canvas, 0, 0, width, height);
    let flying = 0;
    for (let slot = 0; slot < marks.count && !still; slot += 1) {
      const age = (clock - marks.born[slot]) / SPHERE_FLIGHT_MS;
      if (age < 0) continue;
      if (age >= 1) {
        if (!landed[slot]) land(slot, 0.6);
        continue;
      }
      flying += 1;
      if (fly(slot, age, place)) dust.write(marks.kind[slot], place[0], place[1]);
    }
    dust.lay(context);
    drawAlerts(context);
    view.flying = flying;
    return true;
  };

  const whole = () => {
    arrange();
    drawBack();
  };
  const resize = (now) => {
    ({ width, height, ratio } = now);
    size = width < WIDE_PX ? 6 : 7;
    sprites = now.sprites(size);
    const list = width < WIDE_PX ? 18 * (RINGS.narrow / 2 + 1) + 16 : 16;
    radius = Math.min(width / 2 / (TELESCOPE + 0.1), (height - list - 24) / 2 / 1.5);
    if (width >= WIDE_PX) radius = Math.min(radius, (width / 2 - Math.max(NAME_PX, 0.16 * width)) / (TELESCOPE + 0.2));
    [centreX, centreY] = [width / 2, width < WIDE_PX ? 1.5 * radius + 16 : (height - list) / 2 + 4];
    drawBadges();
    const [wide, high] = [Math.min(width, 2 * (TELESCOPE + 0.15) * radius), Math.min(height, 3.3 * radius)];
    dust = new Dust({ classes, size, ratio, wide, high, left: centreX - wide / 2, top: Math.max(0, centreY - high / 2) });
    whole();
  };

  const where = (slot, clock, at) => {
    const age = (clock - marks.born[slot]) / SPHERE_FLIGHT_MS;
    if (age < 0) return false;
    if (age < 1) return fly(slot, age, at);
    at[0] = restX(slot);
    at[1] = restY(slot);
    return toZ[slot] >= 0 || !hidden(at[0], at[1]);
  };
  const whereAlert = (alert, at) => {
    const ring = alert && ringOf.get(alert.organisation);
    if (!ring) return false;
    const [x, y] = onRing(ring, alert.place);
    at[0] = x;
    at[1] = y;
    return true;
  };
  const state = (now) => {
    organisations = Array.isArray(now.organisations) ? now.organisations : [];
    if (width) whole();
  };
  // A new alert may bring its organisation's ring with it.
  const alert = () => {
    if (!width) return;
    const before = rings.map(({ organisation }) => organisation.key).join('\n');
    arrange();
    if (before !== rings.map(({ organisation }) => organisation.key).join('\n')) drawBack();
  };

  const view = { flying: 0, alertsMost: ALERTS_MOST, resize, put, draw, where, whereAlert, state, alert };
  return view;
}

await sky(document.querySelector('figure.sky'), { most: SPHERE_MARKS, make: sphere });
