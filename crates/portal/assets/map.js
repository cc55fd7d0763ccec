// The map: each sighting rises from the country of its sender and falls to the beacon at the bottom, which stands for the
// telescope and not for its place; where it rose, a mark stays. (The file `sky.js` is put before this one.)
//
// The projection is Equal Earth (Šavrič, Patterson and Jenny, 2018): as many marks to the finger's breadth mean as many per area
// everywhere, which Mercator's and the plate carrée's broad norths do not give, and it takes five terms. The Pacific is in the
// middle, as on maps in Japan; the cut runs through the Atlantic at 25° west. Antarctica, from where nobody sends, makes room for
// the beacon.
const MIDDLE = 155;
const SOUTH = -57;
const NORTH = 84;
const MAP_MARKS = 2000;
const MAP_FLIGHT_MS = 5000;
// How much of its way an arc covers at a time, in how many pieces.
const TAIL = 0.32;
const PIECES = 8;
const BASE_MS = 2000;
const FLAME = new Path2D('M16 3c5 6 7 9 7 13a7 7 0 0 1-14 0c0-4 3-6 4-9 1 3 2 4 3 5 1-3 1-6 0-9z');

const equalEarth = (lon, lat) => {
  const theta = Math.asin((Math.sqrt(3) / 2) * Math.sin((lat * Math.PI) / 180));
  const [two, six] = [theta ** 2, theta ** 6];
  const narrow = 1.340264 - 3 * 0.081106 * two + six * (7 * 0.000893 + 9 * 0.003796 * two);
  return [
    (((2 * Math.sqrt(3)) / 3) * ((lon * Math.PI) / 180) * Math.cos(theta)) / narrow,
    theta * (1.340264 - 0.081106 * two + six * (0.000893 + 0.003796 * two)),
  ];
};

function map({ marks, classes, world }) {
  const from = new Float32Array(2 * MAP_MARKS);
  const bend = new Float32Array(2 * MAP_MARKS);
  const to = new Float32Array(MAP_MARKS);
  const points = new Float32Array(2 * (PIECES + 1) * MAP_MARKS);
  const flying = new Uint16Array(MAP_MARKS);
  const stamped = new Uint8Array(MAP_MARKS);
  let [land, base, dust, drawn, changed] = [null, null, null, 0, false];
  let [width, height, ratio, size, sprites] = [0, 0, 1, 9, []];
  const snapped = (at) => Math.round((at - size / 2) * ratio) / ratio;
  let [scale, centreX, centreY, beaconX, beaconY, unknownX, unknownY] = [1, 0, 0, 0, 0, 0, 0];

  const projected = (lon, lat) => {
    const [x, y] = equalEarth(lon - MIDDLE, lat);
    return [centreX + x * scale, centreY - y * scale];
  };
  // Of a country's code its middle and how far around it, both on the picture.
  const home = (country) => {
    const found = typeof country === 'string' && Object.hasOwn(world.countries, country) ? world.countries[country] : null;
    if (!found) return { x: unknownX, y: unknownY, spread: Math.min(22, 0.045 * width) };
    const [lon, lat, spread] = found.map((tenths) => tenths / world.scale);
    const [x, y] = projected(lon < MIDDLE - 180 ? lon + 360 : lon > MIDDLE + 180 ? lon - 360 : lon, lat);
    return { x, y, spread: Math.max((spread * scale * Math.PI) / 180, width < WIDE_PX ? 3 : 6) };
  };

  const put = (slot) => {
    const { x, y, spread } = home(marks.record[slot].country);
    const hash = marks.hash[slot];
    const turn = ((hash & 0xffff) / 0xffff) * 2 * Math.PI;
    const far = spread * Math.sqrt((hash >>> 16) / 0xffff);
    const [fromX, fromY] = [x + far * Math.cos(turn), y + far * Math.sin(turn)];
    from[2 * slot] = fromX;
    from[2 * slot + 1] = fromY;
    to[slot] = beaconX + (((hash >>> 8) & 0xff) / 0xff - 0.5) * beaconWidth();
    const lift = (0.18 + 0.22 * ((hash & 0xff) / 0xff)) * Math.hypot(beaconX - fromX, beaconY - fromY);
    bend[2 * slot] = fromX + 0.42 * (beaconX - fromX);
    bend[2 * slot + 1] = Math.max(fromY - lift, -0.3 * height);
    stamped[slot] = 0;
    changed = true;
  };
  const beaconWidth = () => Math.min(160, 0.2 * width);

  const stamp = (context, slot, alpha) => {
    context.globalAlpha = alpha;
    context.drawImage(sprites[marks.kind[slot]], snapped(from[2 * slot]), snapped(from[2 * slot + 1]), size, size);
    context.globalAlpha = 1;
    stamped[slot] = 1;
  };

  // The outline of the whole: what lies beyond the cut is drawn on the other side.
  const outline = (context) => {
    context.beginPath();
    for (let lat = SOUTH; lat <= NORTH; lat += 3) context.lineTo(...projected(MIDDLE + 180, lat));
    for (let lat = NORTH; lat >= SOUTH; lat -= 3) context.lineTo(...projected(MIDDLE - 180, lat));
    context.closePath();
  };

  const drawLand = () => {
    land = layer(width, height, ratio);
    const { context } = land;
    context.fillStyle = '#10151c';
    context.fillRect(0, 0, width, height);
    context.save();
    outline(context);
    context.fillStyle = '#131a23';
    context.fill();
    context.clip();
    context.fillStyle = '#2a3542';
    context.beginPath();
    for (const ring of world.land) {
      for (let turn = -360; turn <= 720; turn += 360) {
        let [x, y] = [0, 0];
        for (let at = 0; at < ring.length; at += 2) {
          x += ring[at];
          y += ring[at + 1];
          const spot = projected(x / world.scale + turn, y / world.scale);
          if (at === 0) context.moveTo(...spot);
          else context.lineTo(...spot);
        }
        context.closePath();
      }
    }
    context.fill('evenodd');
    context.restore();
    context.font = `12px ${FONT}`;
    context.fillStyle = '#a9b4c1';
    context.textBaseline = 'middle';
    context.textAlign = 'left';
    context.fillText(width < WIDE_PX ? 'unknown' : 'country unknown', 8, unknownY + Math.min(22, 0.045 * width) + 14);
    // The beacon: a line to land on, and the house's flame without its colour.
    context.fillText('telescope', beaconX - 20, beaconY + 16);
    context.save();
    context.translate(beaconX - 44, beaconY + 6);
    context.scale(0.62, 0.62);
    context.fill(FLAME);
    context.restore();
    context.strokeStyle = '#a9b4c1';
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(beaconX - beaconWidth() / 2 - 6, beaconY + 3);
    context.lineTo(beaconX + beaconWidth() / 2 + 6, beaconY + 3);
    context.stroke();
  };

  // Land, the marks that stay, the brighter the newer, and the countries with most of them.
  const drawBase = (clock) => {
    base ??= layer(width, height, ratio);
    const { context } = base;
    context.drawImage(land.canvas, 0, 0, width, height);
    const counts = new Map();
    for (let back = marks.count - 1; back >= 0; back -= 1) {
      const slot = marks.back(back);
      if (marks.born[slot] > clock) continue;
      stamp(context, slot, 0.85 - (0.55 * back) / MAP_MARKS);
      const { country } = marks.record[slot];
      if (country) counts.set(country, (counts.get(country) ?? 0) + 1);
    }
    const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, width < WIDE_PX ? 3 : 8);
    context.font = `12px ${FONT}`;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 3;
    context.strokeStyle = '#10151c';
    context.fillStyle = '#e9edf2';
    const boxes = [];
    for (const [country, count] of most) {
      if (!Object.hasOwn(world.countries, country)) continue;
      const { x, y, spread } = home(country);
      const words = `${country} ${COUNT.format(count)}`;
      const [left, right] = [x + spread + 5, x + spread + 9 + context.measureText(words).width];
      // No name over another: the country with more marks keeps its place.
      if (boxes.some((box) => left < box.right && right > box.left && Math.abs(y - box.y) < 14)) continue;
      boxes.push({ left, right, y });
      context.strokeText(words, left, y);
      context.fillText(words, left, y);
    }
    [drawn, changed] = [clock, false];
  };

  const resize = (now) => {
    ({ width, height, ratio } = now);
    size = width < WIDE_PX ? 7 : 9;
    sprites = now.sprites(size);
    dust = new Dust({ classes, size, ratio, left: 0, top: 0, wide: width, high: height });
    const [wide] = equalEarth(180, 0);
    const [, south] = equalEarth(0, SOUTH);
    const [, north] = equalEarth(0, NORTH);
    const room = width < WIDE_PX ? [24, 60] : [10, 52];
    scale = Math.min((width - 8) / (2 * wide), (height - room[0] - room[1]) / (north - south));
    centreX = width / 2;
    const spare = height - room[0] - room[1] - scale * (north - south);
    centreY = room[0] + spare * (width < WIDE_PX ? 0.3 : 0.5) + north * scale;
    [beaconX, beaconY] = [width / 2, height - 28];
    [unknownX, unknownY] = [Math.min(30, 0.06 * width) + 6, centreY - south * scale - (width < WIDE_PX ? -16 : 40)];
    base = null;
    drawLand();
    for (let slot = 0; slot < marks.count; slot += 1) put(slot);
  };

  // The place at a part of a slot's way, into an array at an index.
  const along = (slot, part, out, index) => {
    const rest = 1 - part;
    const [a, b, c] = [rest * rest, 2 * rest * part, part * part];
    out[index] = a * from[2 * slot] + b * bend[2 * slot] + c * to[slot];
    out[index + 1] = a * from[2 * slot + 1] + b * bend[2 * slot + 1] + c * beaconY;
  };

  const draw = (context, clock, still) => {
    if (!base || (changed && clock - drawn > BASE_MS) || still) drawBase(clock);
    context.drawImage(base.canvas, 0, 0, width, height);
    let [count, waits] = [0, false];
    if (!still) {
      for (let slot = 0; slot < marks.count; slot += 1) {
        const age = (clock - marks.born[slot]) / MAP_FLIGHT_MS;
        if (age < 0) {
          waits = true;
          continue;
        }
        if (!stamped[slot]) stamp(base.context, slot, 0.85);
        if (age >= 1) continue;
        flying[count] = slot;
        count += 1;
        const head = age * (1 + TAIL);
        for (let piece = 0; piece <= PIECES; piece += 1) {
          const part = Math.min(1, Math.max(0, head - (TAIL * piece) / PIECES));
          along(slot, part, points, 2 * ((PIECES + 1) * slot + piece));
        }
      }
      tails(context, count);
      heads(clock, count);
      dust.lay(context);
    }
    view.flying = count;
    return waits || count > 0 || changed;
  };

  // One stroke for each class and half: a canvas without a graphics card pays by the stroke.
  const tails = (context, count) => {
    // One pixel of the canvas, which is not worked out as an area.
    context.lineWidth = 1 / ratio;
    for (let kind = 0; kind < classes.length; kind += 1) {
      context.strokeStyle = classes[kind].colour;
      for (let half = 0; half < 2; half += 1) {
        context.globalAlpha = half === 0 ? 0.85 : 0.35;
        context.beginPath();
        for (let at = 0; at < count; at += 1) {
          const slot = flying[at];
          if (marks.kind[slot] !== kind) continue;
          const first = 2 * (PIECES + 1) * slot;
          let down = false;
          for (let piece = (half * PIECES) / 2; piece < ((half + 1) * PIECES) / 2; piece += 1) {
            const one = first + 2 * piece;
            if (!classes[kind].tail[piece] || (points[one] === points[one + 2] && points[one + 1] === points[one + 3])) {
              down = false;
              continue;
            }
            if (!down) context.moveTo(points[one], points[one + 1]);
            context.lineTo(points[one + 2], points[one + 3]);
            down = true;
          }
        }
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  };

  const heads = (clock, count) => {
    for (let at = 0; at < count; at += 1) {
      const slot = flying[at];
      if ((clock - marks.born[slot]) * (1 + TAIL) >= MAP_FLIGHT_MS) continue;
      const first = 2 * (PIECES + 1) * slot;
      dust.write(marks.kind[slot], points[first], points[first + 1]);
    }
  };

  // The mark that stays is what a hand finds: what flies is gone before it is pressed.
  const where = (slot, clock, out) => {
    if (marks.born[slot] > clock) return false;
    out[0] = from[2 * slot];
    out[1] = from[2 * slot + 1];
    return true;
  };

  const view = { flying: 0, alertsMost: 0, resize, put, draw, where, whereAlert: () => false, state: () => {}, alert: () => {} };
  return view;
}

await sky(document.querySelector('figure.sky'), { most: MAP_MARKS, make: map });
