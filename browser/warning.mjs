// What somebody meets who opens a site that is on a list: the warning, in a real Chromium, over a real resolver; and going on from it. It takes
// networks of its own, of a server and two clients, so that names are asked for as on any line, at port 53, and the page is at port 80.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { until } from './world.mjs';

// Site and DNS server are where the open Internet is: nobody is carried on to examples, and nothing leaves these networks.
const PAGE = '198.51.100.80', DNS = '11.0.0.53', SITE = '11.0.0.10';
const GO_ON_S = 6;
const LINES = [{ name: 'one', server: '192.0.2.1', client: '192.0.2.2' }, { name: 'two', server: '192.0.2.5', client: '192.0.2.6' }];

function ip(...words) {
  const ended = spawnSync('ip', words, { encoding: 'utf8' });
  if (ended.status !== 0) throw new Error(`ip ${words.join(' ')}: ${ended.stderr}`);
}

// A server with its resolver, page and world, and two lines to it.
class Street {
  constructor({ program, chromium }) {
    Object.assign(this, { program, chromium, tag: `noroshi-w${process.pid}` });
    this.folder = mkdtempSync(join(tmpdir(), 'noroshi-warning-'));
    this.children = [];
    this.told = [];
  }

  // Why it cannot be laid here, or nothing.
  lay() {
    try {
      ip('netns', 'add', this.tag);
    } catch (error) {
      return String(error.message).trim();
    }
    ip('-n', this.tag, 'link', 'set', 'lo', 'up');
    for (const address of [PAGE, DNS, SITE]) ip('-n', this.tag, 'addr', 'add', `${address}/32`, 'dev', 'lo');
    for (const { name, server, client } of LINES) {
      const own = `${this.tag}-${name}`;
      ip('netns', 'add', own);
      ip('-n', this.tag, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'line', 'netns', own);
      ip('-n', this.tag, 'addr', 'add', `${server}/30`, 'dev', name);
      ip('-n', this.tag, 'link', 'set', name, 'up');
      ip('-n', own, 'addr', 'add', `${client}/30`, 'dev', 'line');
      for (const device of ['lo', 'line']) ip('-n', own, 'link', 'set', device, 'up');
      ip('-n', own, 'route', 'add', 'default', 'via', server);
      mkdirSync(`/etc/netns/${own}`, { recursive: true });
      writeFileSync(`/etc/netns/${own}/resolv.conf`, `nameserver ${server}\noptions timeout:2\n`);
    }
    return undefined;
  }

  // Something that runs in one of the networks until the end.
  in(network, program, ...words) {
    const child = spawn('ip', ['netns', 'exec', network, program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.children.push(child);
    return child;
  }

  async open() {
    const site = this.in(this.tag, process.execPath, new URL('site.mjs', import.meta.url).pathname, DNS, SITE);
    let rest = '';
    site.stdout.setEncoding('utf8').on('data', (some) => {
      const lines = (rest + some).split('\n');
      rest = lines.pop();
      this.told.push(...lines.map((line) => JSON.parse(line)));
    });
    await until('the world', () => this.told.some((told) => told.ready));
    writeFileSync(join(this.folder, 'list'), 'bad.example CNAME .\n*.bad.example CNAME .\n');
    writeFileSync(join(this.folder, 'noroshi.toml'), `
[operator]
name = "例示 ISP"
desk = "0120-000-000"
[resolver]
listen = [${LINES.map(({ server }) => `"${server}:53"`).join(', ')}]
allow = ["192.0.2.0/24"]
forward = ["${DNS}"]
[resolver.warning]
address = ["${PAGE}"]
go-on-s = ${GO_ON_S}
contact = ["mailto:lists@example.ne.jp"]
[[resolver.rpz]]
name = "rpz.example"
file = "${join(this.folder, 'list')}"
override = "warn"
listed-by = "例示センター"
classification-type = "malware-distribution"
`);
    const config = ['--config', join(this.folder, 'noroshi.toml'), '--data-dir', join(this.folder, 'data')];
    const resolver = this.in(this.tag, this.program, ...config, 'resolver');
    let log = '';
    resolver.stderr.setEncoding('utf8').on('data', (some) => { log += some; });
    await until('the resolver', () => {
      if (resolver.exitCode !== null) throw new Error(log);
      return LINES.every(({ server }) => log.includes(`resolver ${server}:53`));
    });
    const wrapper = join(this.folder, 'chromium');
    writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${this.tag}-one ${this.chromium} "$@"\n`, { mode: 0o755 });
    this.browser = await puppeteer.launch({
      executablePath: wrapper,
      pipe: true,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars'],
    });
  }

  // What another line gets, by a program.
  fromTwo(url) {
    const script = `fetch(${JSON.stringify(url)}, { headers: { accept: 'text/html' } }).then(async (a) => console.log(a.status, await a.text()))`;
    const ended = spawnSync('ip', ['netns', 'exec', `${this.tag}-two`, process.execPath, '-e', script], { encoding: 'utf8' });
    return ended.stdout + ended.stderr;
  }

  async clear() {
    await this.browser?.close();
    for (const child of this.children) child.kill('SIGKILL');
    for (const name of [...LINES.map((line) => `${this.tag}-${line.name}`), this.tag]) {
      spawnSync('ip', ['netns', 'del', name]);
      rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// `tools` are the walk's: check, examined, open, press, same, shot, text.
export async function warning({ program, chromium, languages, tools }) {
  const { check, examined, open, press, same, shot, text } = tools;
  const street = new Street({ program, chromium });
  const unable = street.lay();
  if (unable) {
    console.log(`skipped the warning: it takes networks of its own (${unable})`);
    return;
  }
  const fail = (why) => { throw new Error(why); };
  try {
    await street.open();
    const site = 'http://www.bad.example/a?b=c';
    for (const lang of ['ja', 'en']) {
      await check(`a warning before a listed site opens (${lang})`, async () => {
        const { page, told, close } = await open(street.browser, 360, { scripts: false });
        await page.setExtraHTTPHeaders({ 'Accept-Language': lang });
        const answer = await page.goto(site);
        same(answer.status(), 403, 'the status');
        same(page.url(), site, 'the address stays');
        same(await page.$eval('html', (html) => html.lang), lang, 'the language');
        if (!(await text(page, 'main')).includes('www[.]bad[.]example')) fail('the site is named');
        if (street.told.some((told) => told.host?.endsWith('bad.example'))) fail('nothing of the site was loaded');
        same(told.issues, [], 'issues');
        await shot(page, `warning-${lang}-360`);
        await close();
      });
    }
    for (const lang of languages) {
      await examined(street.browser, `warning (${lang})`, `http://www.bad.example/.noroshi-warning/page/%2F?lang=${lang}`);
      await examined(street.browser, `nothing to warn of (${lang})`, `http://${PAGE}/?lang=${lang}`);
    }
    await check('over https a listed site is refused at once', async () => {
      const { page, close } = await open(street.browser, 1440);
      const begun = Date.now();
      const why = await page.goto('https://bad.example/').then(() => 'it opened', (error) => error.message);
      if (!/ERR_CONNECTION_(RESET|REFUSED|CLOSED)/.test(why)) fail(why);
      if (Date.now() - begun > 3000) fail(`${Date.now() - begun} ms`);
      await close();
    });
    await check('"go on" opens the site at once, for this line only, and ends', async () => {
      const { page, told, close } = await open(street.browser, 1440, { scripts: false });
      await page.goto(site);
      await shot(page, 'warning-1440');
      const begun = Date.now();
      await press(page, 'form[action*="/go-on/"] button');
      const took = Date.now() - begun;
      same(await text(page, '#site'), 'the site itself: /a?b=c', 'what opens');
      same(page.url(), site, 'where');
      console.log(`the site opened ${took} ms after the button was pressed`);
      same(told.issues, [], 'issues');
      await page.goto('https://www.bad.example/').catch(() => {});
      if (!street.told.some((told) => told.hello)) fail('a connection over https reaches the site, too');
      const other = street.fromTwo(site);
      if (!other.startsWith('403 ')) fail(`another line gets ${other.slice(0, 200)}`);
      await close();
      // A browser keeps an address for up to a minute; one that has not been there asks anew.
      await until('the end of going on', async () => {
        const { page, close } = await open(street.browser, 1440);
        const answer = await page.goto(site);
        await close();
        return answer.status() === 403;
      });
    });
  } finally {
    await street.clear();
  }
}
