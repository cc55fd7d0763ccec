// What somebody meets whose browser goes through a proxy: one page of a shared host is on a list, and a real Squid asks a real resolver over ICAP
// before it opens anything. The warning stands in the place of that page alone, and going on from it is for this client.

import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as httpServer, request } from 'node:http';
import { connect, createServer as tcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { freePort, until } from './world.mjs';

// Of the loopback, so that two clients differ by their addresses; Squid alone knows where the names are.
const SITE = '127.0.0.90', PAGE = '127.0.0.80', OTHER = '127.0.0.22';
const GO_ON_S = 8;

const fail = (why) => { throw new Error(why); };
const listens = (server, port) => new Promise((done) => server.listen(port, SITE, () => done(server.address().port)));

// Resolver, proxy and sites, and a browser that knows nobody but the proxy.
class Way {
  constructor({ program, squid, chromium }) {
    Object.assign(this, { program, squid, chromium });
    this.folder = mkdtempSync(join(tmpdir(), 'noroshi-proxy-'));
    this.children = [];
    // What the sites were asked for, and how many hellos of TLS came.
    this.asked = [];
    this.hellos = 0;
  }

  async open() {
    this.http = httpServer((request, response) => {
      this.asked.push(`${request.headers.host.split(':')[0]}${request.url}`);
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!DOCTYPE html><html lang="en"><title>the site</title><link rel="icon" href="data:,"><h1 id="site">the site itself: ${request.url}</h1>`);
    });
    this.https = tcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        this.hellos += 1;
        socket.end();
      });
    });
    this.port = await listens(this.http, 0);
    this.tlsPort = await listens(this.https, 0);
    this.icapPort = await freePort();
    this.proxyPort = await freePort();
    await this.#resolver();
    await this.#proxy();
    this.browser = await puppeteer.launch({
      executablePath: this.chromium,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars', `--proxy-server=127.0.0.1:${this.proxyPort}`],
    });
  }

  async #resolver() {
    const [dns, page, pageTls] = [await freePort(), await freePort(), await freePort()];
    writeFileSync(join(this.folder, 'names'), 'bad.example CNAME .\n');
    writeFileSync(join(this.folder, 'urls'), `${this.url('/bad/page')}\n`);
    writeFileSync(join(this.folder, 'noroshi.toml'), `
[operator]
name = "例示 ISP"
desk = "0120-000-000"
[resolver]
listen = ["127.0.0.1:${dns}"]
forward = ["127.0.0.1:9"]
listen-icap = ["127.0.0.1:${this.icapPort}"]
[resolver.warning]
address = ["${PAGE}"]
listen = ["${PAGE}:${page}"]
listen-tls = ["${PAGE}:${pageTls}"]
go-on-s = ${GO_ON_S}
contact = ["mailto:lists@example.ne.jp"]
[[resolver.rpz]]
name = "rpz.example"
file = "${join(this.folder, 'names')}"
override = "warn"
listed-by = "例示センター"
classification-type = "malware-distribution"
[[resolver.url-list]]
name = "pages"
file = "${join(this.folder, 'urls')}"
listed-by = "Example CERT"
classification-type = "phishing"
`);
    const config = ['--config', join(this.folder, 'noroshi.toml'), '--data-dir', join(this.folder, 'data')];
    await this.#runs('resolver', this.icapPort, this.program, ...config, 'resolver');
  }

  async #proxy() {
    writeFileSync(join(this.folder, 'hosts'), `${SITE} shared.example bad.example\n`);
    writeFileSync(join(this.folder, 'squid.conf'), `
http_port 127.0.0.1:${this.proxyPort}
hosts_file ${join(this.folder, 'hosts')}
pid_filename none
access_log none
cache_log /dev/null
cache_store_log none
cache deny all
coredump_dir none
shutdown_lifetime 0 seconds
http_access allow all
icap_enable on
icap_send_client_ip on
icap_preview_enable on
icap_service warn reqmod_precache icap://127.0.0.1:${this.icapPort}/warn bypass=on
adaptation_access warn allow all
`);
    // Where root starts it, it becomes somebody else, who reads these.
    for (const name of ['', 'hosts', 'squid.conf']) chmodSync(join(this.folder, name), 0o755);
    await this.#runs('Squid', this.proxyPort, this.squid, '-N', '-f', join(this.folder, 'squid.conf'));
    // It passes everything until it has heard what the service can do.
    await until('Squid to ask', async () => (await this.fromOther('/bad/page')).status === 403);
    this.asked.length = 0;
  }

  // Starts something, and waits until it listens.
  async #runs(what, port, program, ...words) {
    const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.children.push(child);
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (some) => { log += some; });
    await until(what, () => {
      if (child.exitCode !== null) fail(`${what} ended: ${log}`);
      return new Promise((done) => {
        const socket = connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false));
        socket.on('connect', () => socket.destroy());
      });
    });
  }

  url(path, host = 'shared.example') {
    return `http://${host}:${this.port}${path}`;
  }

  // What another client gets through the same proxy.
  fromOther(path) {
    const headers = { host: `shared.example:${this.port}`, accept: 'text/html', 'accept-language': 'en' };
    const asks = { host: '127.0.0.1', port: this.proxyPort, localAddress: OTHER, path: this.url(path), headers, agent: false };
    return new Promise((done, failed) => {
      request(asks, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (some) => { body += some; }).on('end', () => done({ status: answer.statusCode, body }));
      }).on('error', failed).end();
    });
  }

  async clear() {
    await this.browser?.close();
    for (const child of this.children) child.kill('SIGKILL');
    for (const server of [this.http, this.https]) {
      server?.closeAllConnections?.();
      server?.close();
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// `tools` are the walk's: check, examined, open, press, same, shot, text.
export async function proxied({ program, squid, chromium, languages, tools }) {
  const { check, examined, open, press, same, shot, text } = tools;
  const way = new Way({ program, squid, chromium });
  try {
    await way.open();
    const bad = way.url('/bad/page?a=b');
    for (const lang of ['ja', 'en']) {
      await check(`through a proxy, a warning before a listed page opens (${lang})`, async () => {
        const { page, told, close } = await open(way.browser, 360, { scripts: false });
        await page.setExtraHTTPHeaders({ 'Accept-Language': lang });
        const answer = await page.goto(bad);
        same(answer.status(), 403, 'the status');
        same(page.url(), bad, 'the address stays');
        same(await page.$eval('html', (html) => html.lang), lang, 'the language');
        const said = await text(page, 'main');
        if (!said.includes('shared[.]example') || !said.includes('Example CERT')) fail(`the site and who listed it are named: ${said}`);
        same(way.asked, [], 'what the site was asked for');
        same(told.issues, [], 'issues');
        await shot(page, `proxy-warning-${lang}-360`);
        await close();
      });
    }
    for (const lang of languages) {
      await examined(way.browser, `warning through a proxy (${lang})`, way.url(`/.noroshi-warning/page/%2Fbad%2Fpage?lang=${lang}`));
    }
    await check('through a proxy, other pages of the same host open', async () => {
      const { page, close } = await open(way.browser, 1440, { scripts: false });
      for (const path of ['/', '/bad/', '/bad/pages', '/good?of=/bad/page']) {
        same((await page.goto(way.url(path))).status(), 200, path);
        same(await text(page, '#site'), `the site itself: ${path}`, 'what opens');
      }
      // However it is written, the listed page does not.
      same((await page.goto(way.url('/x/../bad//%70age#part'))).status(), 403, 'the same page, written otherwise');
      await close();
    });
    await check('through a proxy, https to a listed name is refused, and to a host with a listed page is not', async () => {
      const { page, close } = await open(way.browser, 1440);
      const why = await page.goto(`https://bad.example:${way.tlsPort}/`).then(() => 'it opened', (error) => error.message);
      if (!why.includes('ERR_TUNNEL_CONNECTION_FAILED')) fail(why);
      same(way.hellos, 0, 'connections to the listed name');
      await page.goto(`https://shared.example:${way.tlsPort}/bad/page`).catch(() => {});
      if (way.hellos === 0) fail('the connection to a host that is not listed reaches it, unread');
      await close();
    });
    await check('through a proxy, "go on" opens the page at once, for this client only, and ends', async () => {
      const { page, told, close } = await open(way.browser, 1440, { scripts: false });
      await page.goto(bad);
      await shot(page, 'proxy-warning-1440');
      const begun = Date.now();
      await press(page, 'form[action*="/go-on/"] button');
      const took = Date.now() - begun;
      same(await text(page, '#site'), 'the site itself: /bad/page?a=b', 'what opens');
      same(page.url(), bad, 'where');
      console.log(`through the proxy the page opened ${took} ms after the button was pressed`);
      same(told.issues, [], 'issues');
      const other = await way.fromOther('/bad/page?a=b');
      if (other.status !== 403 || !other.body.includes('/go-on/')) fail(`another client gets ${other.status} ${other.body.slice(0, 200)}`);
      same((await page.goto(bad)).status(), 200, 'it still holds');
      await until('the end of going on', async () => (await page.goto(bad)).status() === 403);
      const held = Date.now() - begun;
      if (held < (GO_ON_S - 1) * 1000) fail(`it held for ${held} ms only`);
      await close();
    });
  } finally {
    await way.clear();
  }
}
