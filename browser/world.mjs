// A noroshi of the test's own: its folder, its people, its clock; and the mails that were delivered.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync, existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PATIENCE_MS = 120_000;

export async function until(what, found) {
  const begun = Date.now();
  for (;;) {
    const value = await found();
    if (value) return value;
    if (Date.now() - begun > PATIENCE_MS) throw new Error(`waited two minutes for ${what}`);
    await new Promise((go) => setTimeout(go, 200));
  }
}

export const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

export class Noroshi {
  // `more` goes into the configuration as it is; `tag` keeps the mails of several apart.
  constructor({ program, testdata, smtp, tag = 'walk', more = '' }) {
    Object.assign(this, { program, testdata, smtp, more, tag: `${tag}${process.pid}` });
    this.folder = mkdtempSync(join(tmpdir(), 'noroshi-browser-'));
    this.config = join(this.folder, 'noroshi.toml');
    const people = readFileSync(join(testdata, 'directory.csv'), 'utf8').replaceAll(',sub0001', `,${this.tag}-sub0001`);
    writeFileSync(join(this.folder, 'people.csv'), people);
    writeFileSync(join(this.folder, 'cleaner-1.0.exe'), 'no program');
    writeFileSync(join(this.folder, 'oidc-secret'), 'a secret of the tests\n');
  }

  #arguments(more) {
    return ['--config', this.config, '--data-dir', join(this.folder, 'data'), ...more];
  }

  run(...more) {
    const ended = spawnSync(this.program, this.#arguments(more), { encoding: 'utf8' });
    if (ended.status !== 0) throw new Error(`${more.join(' ')}: ${ended.stderr}`);
    return ended.stdout;
  }

  // Something that goes on beside it.
  beside(...more) {
    const child = spawn(this.program, this.#arguments(more), { stdio: ['ignore', 'ignore', 'pipe'] });
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (some) => { told += some; });
    const ended = new Promise((done) => child.once('exit', done));
    const over = () => child.exitCode !== null;
    return {
      told: () => told,
      says: async (words) => { await until(words, () => told.includes(words) || over()); return told.includes(words); },
      ends: () => ended,
    };
  }

  async #configure() {
    this.port ??= await freePort();
    this.consolePort ??= await freePort();
    this.apiPort ??= await freePort();
    this.idpPort ??= await freePort();
    writeFileSync(this.config, `
[operator]
name = "例示 ISP"
desk = "0120-000-000"
from = "noroshi@example.ne.jp"
page = "https://www.example.ne.jp/notice"
[network]
own = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:12::/48"]
shared = ["203.0.113.200/32"]
clock-error-s = { gate = 0 }
[mail]
server = "${this.smtp}"
settle-s = 0
[portal]
listen = "127.0.0.1:${this.port}"
base-url = "http://127.0.0.1:${this.port}"
[[portal.cleaner]]
name = { ja = "駆除ツール(Windows用)", en = "Cleaner (for Windows)" }
file = "${join(this.folder, 'cleaner-1.0.exe')}"
[[portal.helper]]
name = { ja = "例示パソコン教室", en = "Example PC class" }
how = { ja = "03-0000-0000、平日10時から17時、有料", en = "03-0000-0000, weekdays 10 to 17, at a charge" }
link = "https://help.example.jp/"
[console]
listen = "127.0.0.1:${this.consolePort}"
[console.oidc]
issuer = "http://127.0.0.1:${this.idpPort}"
client-id = "console"
client-secret-file = "${join(this.folder, 'oidc-secret')}"
name = "Example SSO"
roles = { legal = ["counsel"], auditor = ["audit"] }
[api]
listen = "127.0.0.1:${this.apiPort}"
per-second = 10000
[directory]
file = "${join(this.folder, 'people.csv')}"
[seized.gate]
address = "client"
time = "time"
port = "port"
malware-name = "mirai"
${this.more}`);
  }

  feed() {
    this.ready = this.#configure().then(() => {
      for (const day of ['20261118', '20261119', '20261120']) this.run('observe', 'radius', join(this.testdata, `radius/detail-${day}.txt`));
      this.run('law', 'approve', 'takedown-notice', '--by', 'aoki', '--why', 'a test');
      this.run('observe', 'seized', '--format', 'gate', '--campaign', 'gate', join(this.testdata, 'seized/gate.csv'));
    });
  }

  // Begins to work; with a shift, by a clock that is so much ahead.
  async start(shift) {
    await this.ready;
    const all = this.#arguments(['run']);
    const [command, args] = shift ? ['faketime', ['-f', shift, this.program, ...all]] : [this.program, all];
    const environment = { ...process.env, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    this.child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: environment, detached: true });
    let told = '';
    this.child.stderr.setEncoding('utf8').on('data', (more) => { told += more; });
    const url = await until('noroshi to serve', () => {
      if (this.child.exitCode !== null) throw new Error(`noroshi ended: ${told}`);
      return told.match(/console {2}(\S+)/)?.[1];
    });
    this.console = url;
  }

  async stop() {
    if (!this.child) return;
    const gone = new Promise((done) => this.child.once('exit', done));
    process.kill(-this.child.pid, 'SIGTERM');
    await gone;
    this.child = undefined;
  }

  async restart(shift) {
    await this.stop();
    await this.start(shift);
  }

  async oneCase() {
    return JSON.parse(this.run('case', 'list', '--json').split('\n')[0]).id;
  }

  remove() {
    rmSync(this.folder, { recursive: true });
  }
}

// The mails in the maildirs of people with this tag: language, link, reference.
export function newMails(maildirs, tag) {
  const mails = [];
  for (const person of readdirSync(maildirs).filter((name) => name.startsWith(`${tag}-`))) {
    const folder = join(maildirs, person, 'new');
    for (const file of existsSync(folder) ? readdirSync(folder) : []) {
      const mail = plainText(readFileSync(join(folder, file), 'latin1'));
      mails.push(mail);
    }
  }
  return mails;
}

// The first text of a mail, decoded as its part says.
function plainText(mail) {
  const lang = mail.match(/^Content-Language: *(\S+)/mi)[1];
  const at = mail.search(/^Content-Type: text\/plain/mi);
  const [head, ...rest] = mail.slice(at).split(/\r?\n\r?\n/);
  const body = rest.join('\n\n').split(/\r?\n--/)[0];
  const text = /quoted-printable/i.test(head)
    ? Buffer.from(body.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString('utf8')
    : /base64/i.test(head) ? Buffer.from(body, 'base64').toString('utf8') : Buffer.from(body, 'latin1').toString('utf8');
  // Each with nothing of its kind on either side: two groups of a code, which comes first, may look like a reference.
  const alone = (pattern) => text.match(new RegExp(`(?<![-\\w])${pattern}(?![-\\w])`))[0];
  return { lang, link: text.match(/http:\/\/\S+\/n\/\S+/)[0], reference: alone('[0-9A-F]{4}-[0-9A-F]{4}'), code: alone('[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}') };
}
