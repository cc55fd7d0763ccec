// What an analyst does with sites that do harm, without JavaScript: finds one, reads why it is listed, lists another, hears an objection and answers it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIST = 'metamask-verify-wallet.top\nplain-shop.example.net\nhttp://shared.example.org/login/a.exe\ngithub.com\n';
export const RECORD = '/sites/record?address=shared.example.org%2Flogin%2Fa.exe';

// What lists say, by the command line.
export function readLists(noroshi) {
  const file = join(noroshi.folder, 'phish-list.txt');
  writeFileSync(file, LIST);
  noroshi.run('site', 'import', file, '--source', 'phish-list', '--threat', 'phishing', '--reliability', '0.95', '--by', 'aoki');
}

// `tools` are the walk's: open, press, same, shot, text; `login` lets a page in as Baba, `second` as Abe.
export async function sitesDay(browser, login, second, noroshi, { open, press, same, shot, text }) {
  const fail = (why) => { throw new Error(why); };
  const at = (path) => new URL(path, noroshi.console).href;
  const { page, told, close } = await open(browser, 1440, { scripts: false });
  await login(page);
  await page.goto(at('/sites?lang=en'));
  const rows = () => page.$$eval('main tbody tr', (rows) => rows.map((row) => row.innerText));
  same((await rows()).length, 4, 'sites');
  await shot(page, 'console-sites-1440');
  await page.type('#q', 'shared');
  await page.type('#source', 'phish-list');
  await page.select('#state', 'listed');
  await press(page, 'form.filters button');
  same((await rows()).length, 1, 'sites that are so');
  await press(page, 'main tbody a');
  same(await text(page, 'h1'), 'shared[.]example[.]org/login/a[.]exe', 'the record');
  const evidence = await page.$$eval('.scroll[aria-labelledby=evidence] tbody tr', (rows) => rows.map((row) => row.innerText));
  if (evidence.length < 3 || !evidence.some((row) => row.includes('phish-list'))) fail(`what its score is made of: ${evidence}`);
  await shot(page, 'console-site-en-1440');
  await page.goto(at(`${RECORD}&lang=ja`));
  if (!(await text(page, 'main')).includes('スコアの内訳')) fail('the same in Japanese');
  await shot(page, 'console-site-ja-1440');

  const add = async (address) => {
    await page.goto(at('/sites?lang=en'));
    await page.type('#address', address);
    await page.select('#threat', 'scam');
    await page.type('#why', 'its bank says so');
    await press(page, 'button[value=list]');
  };
  await page.setExtraHTTPHeaders({ 'Accept-Language': 'en' });
  await add('https://evil-shop.test/');
  const facts = async () => `${await text(page, 'main p .mark')}: ${await text(page, 'dl.facts')}`;
  if (!/listed[\s\S]*Baba[\s\S]*its bank says so/.test(await facts())) fail(`listed, by whom and why: ${await facts()}`);
  await page.type('#from', 'its owner');
  await page.type('#said', 'we are a shop');
  await press(page, 'button[value=object]');
  if (!/objected/.test(await facts()) || !(await text(page, 'main')).includes('not answered')) fail(`an objection waits: ${await facts()}`);
  if (noroshi.run('site', 'export', '--as', 'domains').includes('evil-shop')) fail('who objects is not handed out');
  await page.type('#why', 'they are');
  await press(page, 'button[value=remove]');
  if (!/removed/.test(await facts()) || !(await text(page, 'main')).includes('they are (Baba)')) fail(`taken out, and the objection answered: ${await facts()}`);
  await add('github.com');
  same(new URL(page.url()).pathname, '/sites', 'a popular name as a whole takes two people');
  if (!/github\[\.\]com[\s\S]*Baba[\s\S]*its bank says so/.test(await text(page, 'section[aria-labelledby=waiting]'))) fail('it waits for another');
  same((await page.$$('ul.acts form')).length, 0, 'forms for the second, shown to the first');
  await add('github.com');
  const state = () => JSON.parse(noroshi.run('site', 'show', 'github.com', '--json'));
  same(state().state, 'candidate', 'a popular name, said twice by one');
  const other = await open(browser, 1440, { scripts: false });
  await second(other.page);
  await other.page.goto(at('/sites?lang=en'));
  await shot(other.page, 'console-sites-waiting-1440');
  await other.page.type('ul.acts input[name=why]', 'seen by us, too');
  await press(other.page, 'ul.acts button[value=list]');
  same([state().state, state().person, state().why], ['listed', 'Baba and Abe', 'its bank says so; seen by us, too'], 'a popular name, said by two');
  await other.close();
  // One more, left for whoever looks at the page that says so.
  await add('google.com');
  const log = noroshi.run('evidence', 'list', '--json');
  for (const did of ['listed the site evil-shop[.]test', 'took in an objection to the site evil-shop[.]test', 'took out the site evil-shop[.]test', 'wants the site github[.]com listed', 'listed the site github[.]com']) {
    if (!log.includes(did)) fail(`the evidence log lacks: ${did}`);
  }
  same(told.issues, [], 'issues');
  await close();
}
