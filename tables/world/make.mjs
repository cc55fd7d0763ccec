// Makes the world of the telescope's two live views: the outline of the land, and for each country of ISO 3166 a point at which
// its senders are drawn and how far around it they may be spread.
//
//   npm ci && node make.mjs > ../../crates/portal/assets/world.json
//
// {"scale":10,"land":[[x,y,dx,dy,…],…],"countries":{"JP":[x,y,spread],…}}: degrees times the scale, whole numbers. A ring of the
// land is its first point and then steps from point to point; what an odd number of rings surround is land.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { feature } from 'topojson-client';

const SCALE = 10;
const BYTES_MAX = 60_000;
const SPREAD_DEGREES = [1.2, 8];

const find = createRequire(import.meta.url).resolve;
const read = (name) => JSON.parse(readFileSync(find(name), 'utf8'));
const whole = (degrees) => Math.round(degrees * SCALE);
const polygons = ({ type, coordinates }) => (type === 'Polygon' ? [coordinates] : coordinates);

// Places with a code of their own that Natural Earth draws as a part of another country, or not at all.
const BY_HAND = {
  AX: [20.0, 60.2], BQ: [-68.3, 12.2], BV: [3.4, -54.4], CC: [96.8, -12.2], CX: [105.6, -10.5], GF: [-53.1, 3.9], GI: [-5.35, 36.1],
  GP: [-61.5, 16.2], MQ: [-61.0, 14.6], RE: [55.5, -21.1], SJ: [16.0, 78.6], TK: [-171.8, -9.2], TV: [179.2, -8.5], UM: [166.6, 19.3],
  YT: [45.2, -12.8],
};

// A ring that crosses the 180th meridian goes on beyond it, and one around a pole is led over the pole.
const unwound = (ring) => {
  const out = [];
  let turns = 0;
  for (const [at, [lon, lat]] of ring.entries()) {
    if (at > 0) turns -= Math.round((lon - ring[at - 1][0]) / 360);
    out.push([lon + 360 * turns, lat]);
  }
  if (turns === 0) return out;
  const pole = out[0][1] < 0 ? -90 : 90;
  return [...out, [out.at(-1)[0], pole], [out[0][0], pole], out[0]];
};

const steps = (ring) => {
  const out = [];
  let [x, y] = [0, 0];
  // The last point of a ring is its first.
  for (const [lon, lat] of ring.slice(0, -1)) {
    const [nextX, nextY] = [whole(lon), whole(lat)];
    if (out.length && nextX === x && nextY === y) continue;
    out.push(nextX - x, nextY - y);
    [x, y] = [nextX, nextY];
  }
  return out;
};

// The area of a ring in square degrees at the equator, and its centroid; degrees of longitude count by their latitude.
const measured = (ring) => {
  const [originX, originY] = ring[0];
  const middle = ring.reduce((sum, [, lat]) => sum + lat, 0) / ring.length;
  const narrow = Math.cos((middle * Math.PI) / 180);
  let [twice, x, y] = [0, 0, 0];
  for (let at = 0; at + 1 < ring.length; at += 1) {
    const [[x0, y0], [x1, y1]] = [ring[at], ring[at + 1]].map(([lon, lat]) => [lon - originX, lat - originY]);
    const cross = x0 * y1 - x1 * y0;
    twice += cross;
    x += (x0 + x1) * cross;
    y += (y0 + y1) * cross;
  }
  return { area: Math.abs(twice / 2) * narrow, at: [originX + x / (3 * twice), originY + y / (3 * twice)] };
};

const spread = (area) => Math.min(Math.max(0.3 * Math.sqrt(area), SPREAD_DEGREES[0]), SPREAD_DEGREES[1]);

const land = read('world-atlas/land-110m.json');
const rings = feature(land, land.objects.land).features.flatMap(({ geometry }) => polygons(geometry).flat().map(unwound));
const codes = new Map(read('i18n-iso-countries/codes.json').map(([two, , number]) => [number, two]));
const countries = {};
for (const [code, at] of Object.entries(BY_HAND)) countries[code] = [...at.map(whole), whole(SPREAD_DEGREES[0])];
// The finer atlas first, for the small; where the coarser has a country too, its outline is the one that is drawn.
for (const fineness of ['50m', '110m']) {
  const atlas = read(`world-atlas/countries-${fineness}.json`);
  for (const { id, properties, geometry } of feature(atlas, atlas.objects.countries).features) {
    const code = properties.name === 'Kosovo' ? 'XK' : codes.get(id);
    if (!code || !geometry) continue;
    const [largest] = polygons(geometry).map(([outer]) => measured(unwound(outer))).sort((a, b) => b.area - a.area);
    countries[code] = [...largest.at.map(whole), whole(spread(largest.area))];
  }
}

const missing = [...codes.values()].filter((code) => !countries[code]);
if (missing.length) throw new Error(`no place for ${missing}`);
const sorted = Object.fromEntries(Object.entries(countries).sort(([a], [b]) => (a < b ? -1 : 1)));
const made = `${JSON.stringify({ scale: SCALE, land: rings.map(steps).filter((ring) => ring.length > 6), countries: sorted })}\n`;
if (made.length > BYTES_MAX) throw new Error(`${made.length} bytes, more than ${BYTES_MAX}`);
process.stdout.write(made);
process.stderr.write(`${rings.length} rings, ${Object.keys(sorted).length} countries, ${made.length} bytes\n`);
