// The API of a running noroshi before schemathesis: what its document allows and does not allow is asked, and each answer is held
// against the document. An error of ours, an answer of another form, and what should have been refused are failures. A document that
// says something else than the program does has to fail, or the check would say nothing.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHECKS = [
  'not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_headers_conformance', 'response_schema_conformance',
  'negative_data_rejection', 'unsupported_method', 'allow_header_conformance', 'ignored_auth',
];
const REQUESTS_MIN = 800;
const SECONDS_MAX = 90;

const same = (found, wanted) => {
  if (found !== wanted) throw new Error(`${found} operations, not ${wanted}`);
};

export async function examineApi({ noroshi, program, check }) {
  const base = `http://127.0.0.1:${noroshi.apiPort}`;
  const scopes = 'cases:read,steps:read,steps:write,ladder:read,ladder:write,events:read,intake:read,law:read,evidence:read,outcome:read';
  const token = noroshi.run('token', 'add', 'schemathesis', '--scope', scopes).trim();
  const document = JSON.parse(noroshi.run('api', 'openapi'));
  const folder = mkdtempSync(join(tmpdir(), 'noroshi-api-'));

  // Real records, so that what is asked for is found as well as not.
  const first = async (path) => (await (await fetch(`${base}/api/v1/${path}`, { headers: { authorization: `Bearer ${token}` } })).json()).items[0];
  const one = await first('cases');
  const event = await first('evidence/entries');
  if (!one || !event) throw new Error('there is nothing for the API to tell');

  // Refused is refused by whatever name: 414 and 413 are not among those that it takes for that by itself.
  writeFileSync(join(folder, 'schemathesis.toml'), '[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 414, 415, 422]\n');
  const run = (name, written, ...more) => {
    const at = join(folder, `${name}.json`);
    writeFileSync(at, JSON.stringify(written));
    const ended = spawnSync(program, [
      'run', at, '--url', base, '--header', `Authorization: Bearer ${token}`, '--checks', CHECKS.join(','), '--seed', '20261121',
      '--phases', 'examples,coverage,fuzzing', '--workers', '2', '--request-timeout', '60',
      '--continue-on-failure', '--no-color', ...more,
    ], { encoding: 'utf8', cwd: folder, timeout: SECONDS_MAX * 1000 });
    return { status: ended.status, told: `${ended.stdout}${ended.stderr}` };
  };

  // A case that there is, as an example of each path that names one.
  const withExamples = structuredClone(document);
  for (const item of Object.values(withExamples.paths)) {
    for (const operation of Object.values(item)) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.in === 'path') parameter.example = { id: one.id, case: one.id, index: event.index, number: 1 }[parameter.name];
      }
    }
  }
  const found = { requests: 0, operations: 0, failures: 0 };
  await check('schemathesis finds no error in the API, and every answer is of its form', () => {
    const { status, told } = run('document', withExamples, '--max-examples', '50');
    found.operations = Number(told.match(/(\d+) selected/)?.[1] ?? 0);
    found.requests = Number(told.match(/(\d+) generated/)?.[1] ?? 0);
    found.failures = Number(told.match(/(\d+) unique failure/)?.[1] ?? 0);
    if (status !== 0) throw new Error(told.slice(-4000));
    same(found.operations, Object.values(document.paths).flatMap((item) => Object.keys(item)).length);
    if (found.requests < REQUESTS_MIN) throw new Error(`only ${found.requests} requests: ${told.slice(-4000)}`);
  });
  await check('a document that says something else is found out', () => {
    const wrong = structuredClone(document);
    wrong.components.schemas.CaseItem.properties.steps = { type: 'string' };
    const { status, told } = run('wrong', wrong, '--max-examples', '5', '--include-path', '/api/v1/cases');
    if (status === 0 || !/schema/i.test(told)) throw new Error(`nothing was found: ${told.slice(-4000)}`);
  });
  return found;
}
