// What a subscriber and an analyst meet, in a real Chromium, with a real Postfix and a real Squid between: from the delivered mail to "clean"
// without JavaScript, the analyst's day, every page before axe, and the API before schemathesis. `cargo xtask browser` installs what it takes and says
// where it is; the last line is "N passed, N failed".

import { readFileSync, mkdirSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import puppeteer from 'puppeteer-core';
import { examineApi } from './api.mjs';
import { IdentityProvider } from './provider.mjs';
import { proxied } from './proxy.mjs';
import { RECORD, readLists, sitesDay } from './sites.mjs';
import { sky } from './sky.mjs';
import { warning } from './warning.mjs';
import { Noroshi, newMails, until } from './world.mjs';

const env = (name) => process.env[name] ?? fail(`${name} is not set: run cargo xtask browser`);
const fail = (why) => { throw new Error(why); };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [360, 1440];
const LANGUAGES = ['ja', 'en', 'ja-x-easy'];
const CITIZEN_BYTES_MAX = 50 * 1024;
const SHOTS = env('NOROSHI_SHOTS');

let passed = 0, failed = 0;
async function check(name, test) {
  try {
    await test();
    passed += 1;
    console.log(`ok     ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n       ${String(error?.stack ?? error).split('\n').slice(0, 6).join('\n       ')}`);
  }
}
const same = (found, wanted, what) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) fail(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
};

// A page that counts what Chromium has to say against it: violations of the CSP, errors of scripts, bytes on the wire.
async function open(browser, width, { scripts = true } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
  await page.setJavaScriptEnabled(scripts);
  const cdp = await page.createCDPSession();
  const told = { issues: [], bytes: 0 };
  await cdp.send('Audits.enable');
  await cdp.send('Network.enable');
  cdp.on('Audits.issueAdded', ({ issue }) => {
    if (issue.code.includes('ContentSecurityPolicy') || issue.code.includes('Cookie')) told.issues.push(issue.code);
  });
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => { told.bytes += encodedDataLength; });
  page.on('pageerror', (error) => told.issues.push(`script: ${error.message}`));
  return { page, told, close: () => context.close() };
}

const text = (page, selector) => page.$eval(selector, (element) => element.innerText.trim());
const shot = (page, name) => page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });

// Goes on by a button or link, as by a finger.
async function press(page, selector) {
  const element = await page.waitForSelector(selector, { timeout: 20000 });
  await Promise.all([page.waitForNavigation({ timeout: 30000 }), element.click()]);
}

// The subscriber's way, without JavaScript, up to "I did it".
async function subscribersWay(browser, mail) {
  const { page, told, close } = await open(browser, 360, { scripts: false });
  // The page speaks what the browser asks for: in a house of many languages that is whoever reads it.
  await page.setExtraHTTPHeaders({ 'Accept-Language': mail.lang });
  const answer = await page.goto(mail.link);
  same(answer.status(), 200, 'the link in the mail');
  same(await page.$eval('html', (html) => html.lang), mail.lang, 'the language');
  if (told.bytes > CITIZEN_BYTES_MAX) fail(`the first load is ${told.bytes} bytes`);
  if (!(await text(page, 'main')).includes(mail.reference)) fail('the reference of the mail is on the page');
  await shot(page, `notice-${mail.lang}-360`);
  await press(page, 'form[action*="/steps"] button');
  const steps = await page.$$eval('ol.steps > li', (steps) => steps.length);
  if (steps < 3) fail(`${steps} steps`);
  if (!/^[0-9a-f]{64}$/.test(await text(page, 'form[action*="/cleaner/"] code'))) fail('a cleaner has its SHA-256');
  await press(page, 'form[action*="/check"] button');
  if (!(await text(page, '[role=status]')).length) fail('who asks is told whether it was seen again');
  await shot(page, `steps-${mail.lang}-360`);
  // Back in the mail, the stop page says what stopping means, and is left again.
  await press(page, 'a[href*="/opt-out"]');
  await press(page, `main a[href*="/n/"]`);
  await press(page, 'form[action*="/done"] button');
  await page.waitForSelector('.standing.watch', { timeout: 20000 });
  await shot(page, `done-${mail.lang}-360`);
  const wide = await page.$eval('html', (html) => html.scrollWidth - html.clientWidth);
  same(wide, 0, 'nothing is wider than the screen');
  same(await page.browserContext().cookies(), [], 'cookies');
  same(told.issues, [], 'issues');
  await close();
}

// Who does not follow links types the code, wrong at first, on the first page.
async function byCode(browser, mail, portal) {
  const { page, told, close } = await open(browser, 360, { scripts: false });
  await page.goto(`${portal}?lang=${mail.lang}`);
  await page.type('#code', '0000 0000 0000 0000');
  await press(page, 'form[action*="/code"] button');
  await page.waitForSelector('[role=alert]', { timeout: 20000 });
  await shot(page, `code-wrong-${mail.lang}-360`);
  await page.type('#code', mail.code.toLowerCase().replaceAll('-', ' '));
  await press(page, 'form[action*="/code"] button');
  if (!(await text(page, 'main')).includes(mail.reference)) fail('the code opens the page of its notice');
  same(told.issues, [], 'issues');
  await close();
}

// The same by keyboard alone: every control is reached by Tab, in order, and Enter works.
async function byKeyboard(browser, link) {
  const { page, close } = await open(browser, 1440, { scripts: true });
  await page.goto(link);
  const reached = [];
  for (let at = 0; at < 30; at += 1) {
    await page.keyboard.press('Tab');
    const here = await page.evaluate(() => {
      const active = document.activeElement;
      if (!active || active === document.body) return null;
      const outline = getComputedStyle(active).outlineStyle;
      return { what: active.getAttribute('href') ?? active.textContent.trim(), outline };
    });
    if (!here) break;
    if (here.outline === 'none') fail(`no focus is shown on ${here.what}`);
    reached.push(here.what);
  }
  const controls = await page.$$eval('a[href], button', (all) => all.length);
  if (reached.length < controls - 1) fail(`${reached.length} of ${controls} controls reached`);
  if (!reached[0].startsWith('#')) fail('the first is the way past the navigation');
  await close();
}

// A page before axe (WCAG 2.2 A and AA and best practices), on a phone and a desk, and before its own CSP.
async function examined(browser, name, url, { before, after } = {}) {
  for (const width of WIDTHS) {
    await check(`${name} at ${width} px`, async () => {
      const { page, told, close } = await open(browser, width);
      if (before) await before(page);
      await page.goto(url, { waitUntil: 'networkidle2' });
      if (after) await after(page);
      same(told.issues, [], 'issues');
      const wide = await page.$eval('html', (html) => html.scrollWidth - html.clientWidth);
      same(wide, 0, 'nothing is wider than the screen');
      await page.evaluate(AXE);
      const found = await page.evaluate(() => globalThis.axe.run(document, {
        preload: false,
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }));
      same(found.violations.map((v) => `${v.id}: ${v.nodes[0].html}`), [], 'axe');
      if (found.passes.length < 10) fail(`axe looked at ${found.passes.length} rules only`);
      await close();
    });
  }
}

// Somebody with an authenticator of their own, as a laptop has one: it verifies its person, and keeps the passkey.
async function withPasskey(page) {
  const cdp = await page.createCDPSession();
  await cdp.send('WebAuthn.enable');
  const options = {
    protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options });
  return { cdp, authenticatorId };
}

// From the invitation to a session, out, and in again by the passkey; the cookie of whoever is in.
async function comesIn(browser, link, console_, { page, told, close }) {
  const { cdp, authenticatorId } = await withPasskey(page);
  await page.goto(link);
  if (!(await text(page, 'h1')).includes('Baba')) fail('the invitation names whom it invites');
  await shot(page, 'console-join-1440');
  await press(page, 'button[data-passkey="make"]');
  same(await text(page, '.who a'), 'Baba', 'who is in');
  const used = await open(browser, 1440);
  same((await used.page.goto(link)).status(), 404, 'the link, used once');
  await used.close();
  await page.goto(new URL('/me', console_).href);
  await press(page, 'button[value="leave"]');
  await page.goto(new URL('/cases', console_).href);
  await shot(page, 'console-login-1440');
  // A person whom the device does not recognise stays out.
  await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
  await page.waitForSelector('button[data-passkey="use"]:not([hidden])');
  await page.click('button[data-passkey="use"]');
  await page.waitForFunction(() => document.querySelector('[data-told]').textContent.length > 0);
  await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
  await press(page, 'button[data-passkey="use"]');
  same(await text(page, '.who a'), 'Baba', 'who is in again');
  same(told.issues.filter((issue) => !issue.startsWith('script')), [], 'issues');
  const cookies = await page.browserContext().cookies();
  return cookies.find((cookie) => cookie.name === 'noroshi-person');
}

// The analyst's day: what needs me, the case behind a number, and in three presses from there its evidence.
async function analystsDay({ page, told }, console_) {
  await page.goto(console_);
  if (!(await text(page, 'h1')).length) fail('Today has no headline');
  await shot(page, 'console-today-1440');
  await press(page, 'a[href="/cases"]');
  await shot(page, 'console-cases-1440');
  await press(page, 'main td a[href^="/cases/"], main th a[href^="/cases/"]');
  if (!(await text(page, 'main')).includes('identified')) fail('a case tells how it was identified');
  await shot(page, 'console-case-1440');
  await press(page, 'main a[href^="/evidence/"]');
  if (!(await text(page, 'main')).length) fail('an evidence entry');
  for (const path of ['/campaigns', '/steps', '/quarantine', '/law', '/evidence', '/outcome', '/outcome/wordings', '/outcome/networks', '/intake', '/people', '/settings', '/law/emergencies', '/me']) {
    const answer = await page.goto(new URL(path, console_).href);
    same(answer.status(), 200, path);
    const twin = await page.goto(new URL(`${path}.json`, console_).href);
    same([twin.status(), twin.headers()['content-type'].split(';')[0]], [200, 'application/json'], `${path}.json`);
  }
  // The switch, with a reason, under the name of whoever is in, and back.
  await page.goto(new URL('/steps', console_).href);
  const throwSwitch = async (form) => {
    await page.type(`form[aria-label="${form}"] input[name="why"]`, 'a wrong list');
    await press(page, `form[aria-label="${form}"] button`);
  };
  await throwSwitch('Stop all notices');
  if (!(await text(page, 'main')).includes('by Baba: a wrong list')) fail('what is stopped, by whom and why');
  await shot(page, 'console-steps-1440');
  await throwSwitch('Let it go on');
  if ((await text(page, 'main')).includes('by Baba')) fail('it goes on');
  same(told.issues, [], 'issues');
}

// Two cases are held at once with a reason, found by their state, and let go on; each has it in its story, with its evidence.
async function holdsCases({ page, told }, console_) {
  const marked = async (path, verb) => {
    await page.goto(new URL(path, console_).href);
    for (const box of (await page.$$('input[name="case"]')).slice(0, 2)) await box.click();
    await page.type('#why', 'the list is doubted');
    await press(page, `button[value="${verb}"]`);
  };
  await marked('/cases?state=notified', 'hold');
  if (!(await text(page, '[role=status]')).includes('2 held')) fail('two are held');
  await page.goto(new URL('/cases?state=held', console_).href);
  const held = await page.$$eval('input[name="case"]', (boxes) => boxes.length);
  if (held < 2) fail(`${held} held cases are listed`);
  if (!(await text(page, 'table')).includes('held by Baba')) fail('who holds them');
  await shot(page, 'console-held-1440');
  await marked('/cases?state=held', 'release');
  if (!(await text(page, '[role=status]')).includes('2 released')) fail('two are released');
  await page.goto(new URL('/cases?state=notified', console_).href);
  const stories = [];
  for (const href of await page.$$eval('main th a', (links) => links.slice(0, 20).map((link) => link.href))) {
    await page.goto(href);
    stories.push(await text(page, '.story'));
  }
  if (stories.filter((story) => /by Baba: the list is doubted[\s\S]*evidence/.test(story)).length < 2) fail('the story tells of it, with evidence');
  same(told.issues, [], 'issues');
}

// A house in which a person says yes to each mail: what waits, before axe and at both widths, one approved and sent, one rejected.
async function stepsWait(browser) {
  const more = '[[ladder.rung]]\nchannel = "mail"\napproval = true\n';
  const house = new Noroshi({ ...WHERE, tag: 'asked', more });
  try {
    house.feed();
    await house.start();
    const { page, told, close } = await open(browser, 1440);
    await withPasskey(page);
    await page.goto(house.run('staff', 'invite', 'Abe', '--role', 'analyst', '--by', 'aoki').trim());
    await press(page, 'button[data-passkey="make"]');
    told.issues.length = 0;
    const at = (path) => new URL(path, house.console).href;
    const waiting = async () => {
      await page.goto(at('/steps'));
      return (await page.$$('ul.acts form')).length;
    };
    // All of the log: cases still come while the first of them waits.
    let many = 0;
    await until('steps that wait', async () => {
      const before = many;
      many = await waiting();
      await new Promise((go) => setTimeout(go, 1500));
      return many > 2 && many === before;
    });
    const person = (await page.browserContext().cookies()).find((cookie) => cookie.name === 'noroshi-person');
    const login = (other) => other.setCookie({ name: person.name, value: person.value, url: house.console });
    await examined(browser, 'console steps that wait', at('/steps'), { before: login });
    await examined(browser, 'console cases with steps that wait', at('/cases?waiting=1'), { before: login });
    await check('steps that wait: one approved and sent, one rejected', async () => {
      await waiting();
      await shot(page, 'console-waiting-1440');
      const say = async (verdict) => {
        await page.type('ul.acts li:first-child input[name="why"]', 'looked at');
        await press(page, `ul.acts li:first-child button[value="${verdict}"]`);
      };
      same(newMails(env('NOROSHI_TEST_MAILDIRS'), house.tag).length, 0, 'mails before anybody said yes');
      await say('approve');
      await say('reject');
      same(await waiting(), many - 2, 'what still waits');
      await until('the mail that was approved', () => newMails(env('NOROSHI_TEST_MAILDIRS'), house.tag).length === 1);
      same(told.issues, [], 'issues');
    });
    await close();
  } finally {
    await house.stop();
    house.remove();
  }
}

// Counsel comes by the operator's own identity provider, approves a measure, and reviews what was used in an emergency; whom the
// provider gives no role stays out.
async function counselsDay(browser, noroshi) {
  const at = (path) => new URL(path, noroshi.console).href;
  const idp = await IdentityProvider.start(noroshi.idpPort, at('/login/oidc/back'));
  try {
    const { page, told, close } = await open(browser, 1440);
    await page.goto(at('/law'));
    await press(page, 'a[href="/login/oidc"]');
    await IdentityProvider.passes(page, 'Doi');
    await page.waitForSelector('.who');
    same([await text(page, '.who a'), new URL(page.url()).pathname], ['Doi', '/'], 'who is in, and where');
    told.issues.length = 0;
    await page.goto(at('/law'));
    await page.type('form[action="/law/approve"] input[name=why]', 'the log of the night');
    await press(page, 'form[action="/law/approve"] button');
    if (!/doi at .*: the log of the night/.test(await text(page, 'main'))) fail('the approval stands');
    await page.goto(at('/law/emergencies'));
    const waiting = (await page.$$('input[name=entry]')).length;
    if (waiting < 1) fail('uses of an emergency wait');
    await shot(page, 'console-emergencies-1440');
    await page.click('input[name=entry]');
    await page.type('#why', 'no more than the notices took');
    await press(page, 'button[value=justified]');
    // Whoever approved it is not who reviews it.
    const said = await text(page, '[role=status]');
    if (!said.includes('1 justified') && !said.includes('somebody else must review it')) fail(`the review: ${said}`);
    await page.goto(at('/cases'));
    same((await page.$$('input[name=case]')).length, 0, 'counsel judges no cases');
    same(told.issues, [], 'issues');
    await close();
    const other = await open(browser, 1440);
    await other.page.goto(at('/login/oidc'));
    await IdentityProvider.passes(other.page, 'Endo');
    if (!(await text(other.page, 'main')).includes('gives you no role here')) fail('who has no role is told so');
    same((await other.page.goto(at('/law'))).status(), 401, 'and stays out');
    await other.close();
  } finally {
    idp.stop();
  }
}

// The console without a mouse: where to go, a row, a mark; and the keys can be switched off.
async function keys({ page, told }, console_) {
  await page.goto(new URL('/', console_).href);
  const goes = async (letter, path) => {
    await Promise.all([page.waitForNavigation(), page.keyboard.type(`g${letter}`)]);
    same(new URL(page.url()).pathname, path, `g ${letter}`);
  };
  await goes('l', '/law');
  await goes('g', '/settings');
  await goes('d', '/telescope');
  await goes('c', '/cases');
  await page.keyboard.type('jjx');
  const marked = await page.$$eval('input[name=case]', (boxes) => boxes.map((box) => box.checked));
  same(marked.indexOf(true), 1, 'the second row is marked');
  await page.keyboard.type('/mirai');
  same(await page.$eval('#family', (field) => field.value), 'mirai', 'the filter takes what is typed');
  await page.click('h1');
  await page.keyboard.type('?');
  await page.waitForSelector('dialog[open]');
  await shot(page, 'console-keys-1440');
  await page.click('dialog input');
  await page.keyboard.press('Escape');
  await page.keyboard.type('gl');
  await new Promise((go) => setTimeout(go, 500));
  same(new URL(page.url()).pathname, '/cases', 'switched off');
  await page.click('button[data-keys]');
  await page.click('dialog input');
  await page.click('dialog button');
  await goes('t', '/');
  same(told.issues, [], 'issues');
}

// A telescope over addresses of the loopback that nobody uses sees an organisation's machines; `false` where nobody may watch an interface.
async function watches(noroshi) {
  noroshi.run('organisation', 'add', 'city', '--name', '例示市', '--by', 'aoki');
  noroshi.run('organisation', 'range', 'add', 'city', '127.9.9.0/24', '--by', 'aoki');
  noroshi.run('organisation', 'range', 'prove', 'city', '127.9.9.0/24', '--vouch', 'a test', '--by', 'aoki');
  const telescope = noroshi.beside('darknet', 'live', '--interface', 'lo', '--network', '127.77.0.0/16', '--name', 'north', '--alert', '--statistics', '--stop-after-s', '5');
  if (!await telescope.says('watching lo')) {
    console.log(`not run: ${telescope.told().trim()}`);
    return false;
  }
  const socket = createSocket('udp4').on('error', () => {});
  await new Promise((done) => socket.bind(0, '127.9.9.7', done));
  for (let n = 1; n <= 60; n += 1) socket.send('anybody?', [5060, 53, 123][n % 3], `127.77.1.${n}`, () => {});
  await telescope.ends();
  socket.close();
  return true;
}

// From a mark in the map to its record, by keyboard; an alert in the sphere likewise; with reduced motion nothing moves.
async function opensMarks(browser, login, base) {
  const { page, told, close } = await open(browser, 1440);
  await login(page);
  for (const [view, below] of [['map', '/telescope/sightings/'], ['sphere', '/alerts/']]) {
    await page.goto(new URL(`/telescope/${view}`, base).href);
    await page.waitForSelector('figure.sky canvas:not([hidden])');
    await page.focus('figure.sky canvas');
    await until(`a mark in the ${view}`, async () => {
      await page.keyboard.press('ArrowRight');
      return (await text(page, '[data-mark]')).trim();
    });
    await shot(page, `console-${view}-mark-1440`);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    const { pathname } = new URL(page.url());
    if (!pathname.startsWith(below)) fail(`a mark of the ${view} leads to ${pathname}`);
  }
  same(told.issues, [], 'issues');
  await close();
}

mkdirSync(SHOTS, { recursive: true });
const browser = await puppeteer.launch({
  executablePath: env('NOROSHI_TEST_CHROMIUM'),
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars'],
});
const WHERE = { program: env('NOROSHI_PROGRAM'), testdata: env('NOROSHI_TESTDATA'), smtp: env('NOROSHI_TEST_SMTP') };
const ABROAD = { program: WHERE.program, chromium: env('NOROSHI_TEST_CHROMIUM'), languages: LANGUAGES, tools: { check, examined, open, press, same, shot, text } };
await warning(ABROAD);
await proxied({ ...ABROAD, squid: env('NOROSHI_TEST_SQUID') });
const noroshi = new Noroshi(WHERE);
try {
  noroshi.feed();
  await noroshi.start();
  const mails = await until('mails in both languages', () => {
    const mails = newMails(env('NOROSHI_TEST_MAILDIRS'), noroshi.tag);
    return ['ja', 'en'].every((lang) => mails.filter((mail) => mail.lang === lang).length > 2) && mails;
  });
  const first = (lang) => mails.find((mail) => mail.lang === lang);
  for (const lang of ['ja', 'en']) {
    await check(`from the delivered mail to "I did it", without JavaScript (${lang})`, () => subscribersWay(browser, first(lang)));
  }
  const portal = new URL('/', mails[0].link).href;
  for (const lang of ['ja', 'en']) {
    await check(`the code instead of the link (${lang})`, () => byCode(browser, first(lang), portal));
  }
  const fresh = mails.filter((mail) => mail.lang === 'ja')[1].link;
  const forged = fresh.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
  await check('every control by keyboard', () => byKeyboard(browser, fresh));
  const office = await open(browser, 1440);
  const join = noroshi.run('staff', 'invite', 'Baba', '--role', 'analyst,admin', '--by', 'aoki').trim();
  let person;
  await check('from the invitation into the console by a passkey, and in again', async () => {
    person = await comesIn(browser, join, noroshi.console, office);
  });
  office.told.issues.length = 0;
  await check('the analyst\'s day', () => analystsDay(office, new URL('/', noroshi.console).href));
  await check('cases are held and released, two at once', () => holdsCases(office, noroshi.console));
  await check('by keys', () => keys(office, noroshi.console));
  await office.close();
  await check('counsel comes by the identity provider, approves and reviews', () => counselsDay(browser, noroshi));
  for (const lang of LANGUAGES) {
    const pages = {
      'first page': portal, transparency: `${portal}transparency`, garden: `${portal}garden`, notice: fresh, stop: `${fresh}/opt-out`,
      'done notice': first('ja').link, 'forged link': forged, 'no such page': `${portal}nothing`,
    };
    for (const [name, url] of Object.entries(pages)) await examined(browser, `${name} (${lang})`, `${url}?lang=${lang}`);
    const after = async (page) => {
      await page.type('#code', 'ABCD');
      await press(page, 'form[action*="/code"] button');
    };
    await examined(browser, `wrong code (${lang})`, `${portal}?lang=${lang}`, { after });
  }
  const login = (page) => page.setCookie({ name: person.name, value: person.value, url: noroshi.console });
  const theirs = (path) => new URL(path, noroshi.console).href;
  const paths = ['/', '/cases', '/cases?state=notified', '/campaigns', '/steps', '/people', '/me', '/quarantine', '/alerts', '/telescope', '/telescope/map', '/telescope/sphere', '/telescope/sightings', '/telescope/campaigns', '/sites', '/sites?state=listed&q=shared&lang=en', RECORD, `${RECORD}&lang=en`, '/law', '/law/refusals', '/law/consents', '/law/emergencies?all=1', '/evidence', '/outcome', '/outcome/wordings', '/outcome/networks', '/intake', '/settings', '/cases/none'];
  const seen = await watches(noroshi);
  readLists(noroshi);
  const abe = await open(browser, 1440);
  await withPasskey(abe.page);
  await abe.page.goto(noroshi.run('staff', 'invite', 'Abe', '--role', 'analyst', '--by', 'aoki').trim());
  await press(abe.page, 'button[data-passkey="make"]');
  const other = (await abe.page.browserContext().cookies()).find((cookie) => cookie.name === 'noroshi-person');
  await abe.close();
  const second = (page) => page.setCookie({ name: other.name, value: other.value, url: noroshi.console });
  await check('sites: found, read, listed, objected to and taken out, without JavaScript', () => sitesDay(browser, login, second, noroshi, { open, press, same, shot, text }));
  await examined(browser, 'console sites that wait for a second person', theirs('/sites?lang=en'), { before: second });
  const one = await noroshi.oneCase();
  for (const path of [...paths, `/cases/${one}`, '/evidence/3']) await examined(browser, `console ${path.replace(one, 'ID')}`, theirs(path), { before: login });

  if (seen) {
    await check('from a mark to its record', () => opensMarks(browser, login, noroshi.console));
    const alert = JSON.parse(noroshi.run('organisation', 'alerts', 'city', '--json').split('\n')[0]).id;
    await examined(browser, 'console alert', theirs(`/alerts/${alert}`), { before: login });
  }
  await check('map and sphere at 30 frames a second or more', async () => {
    const { page, close } = await open(browser, 1440);
    await login(page);
    const found = await sky(page, noroshi.console);
    for (const [view, { frames, least, seconds }] of Object.entries(found)) {
      console.log(`${view}: ${frames} frames a second (median of ${seconds} s; least ${least})`);
      if (frames < 30) fail(`the ${view} draws ${frames} frames a second`);
    }
    await close();
  });

  const opened = async (page) => {
    await page.keyboard.type('?');
    await page.waitForSelector('dialog[open]');
  };
  await examined(browser, 'console keys', theirs('/cases'), { before: login, after: opened });
  await examined(browser, 'console login', theirs('/cases'));
  const another = noroshi.run('staff', 'invite', 'Chiba', '--role', 'auditor', '--by', 'aoki').trim();
  await examined(browser, 'console join', another);
  const key = (page) => page.goto(noroshi.console);
  for (const path of ['/me', '/steps']) await examined(browser, `console ${path} by the machine's key`, theirs(path), { before: key });

  await stepsWait(browser);

  await noroshi.restart('+15d');
  for (const lang of ['ja', 'en']) {
    await check(`fifteen days later, by the clock, it is clean (${lang})`, async () => {
      const { page, close } = await open(browser, 360, { scripts: false });
      await until('the case to close', async () => {
        await page.goto(first(lang).link);
        return page.$('.standing.clear');
      });
      await shot(page, `clean-${lang}-360`);
      await close();
    });
  }
  // At the end: it throws the switch, too.
  const found = await examineApi({ noroshi, program: env('NOROSHI_TEST_SCHEMATHESIS'), check });
  console.log(`the API: ${found.requests} requests to ${found.operations} operations, ${found.failures} failures`);
} finally {
  await noroshi.stop();
  noroshi.remove();
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
