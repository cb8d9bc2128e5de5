import { expect, test } from 'vitest';
import { Redactor } from './redact.js';

const redactor = new Redactor();
redactor.learn({
  source: {
    options: {
      url: 'https://api.example/cities',
      headers: { 'X-Api-Key': 'k3y-of-the-api', Authorization: 'Bearer t0ken-of-mine', Accept: 'application/json' },
      auth: { kind: 'bearer', clientSecret: 'client"s3cret', user: 'alice' },
    },
  },
  sink: { options: { url: 'postgres://alice:p%40ssw0rd@db.example/cities', table: 'cities' } },
});

test.each([
  ['can not reach postgres://u:p@127.0.0.1:5432/db', 'can not reach postgres://u:***@127.0.0.1:5432/db'],
  ['http://u:a@b@host/x', 'http://u:***@host/x'],
  ['GET /cities?page=2&access_token=abc&x=1', 'GET /cities?page=2&access_token=***&x=1'],
  ['GET /cities;jsessionid=1A2B?sid=abc&sessionid=def', 'GET /cities;jsessionid=***?sid=***&sessionid=***'],
  ['authorization: Bearer abc.def', 'authorization: Bearer ***'],
  ['{"Authorization":"Basic YWJj","a":1}', '{"Authorization":"Basic ***","a":1}'],
  ['http://127.0.0.1:8000/users/@me and 10:30', 'http://127.0.0.1:8000/users/@me and 10:30'],
  ['["http://a:80","me@example.com"]', '["http://a:80","me@example.com"]'],
  ['Read 10 of 10', 'Read 10 of 10'],
])('%s becomes %s', (text, expected) => {
  expect(new Redactor().clean(text)).toBe(expected);
});

test.each(['k3y-of-the-api', 't0ken-of-mine', 'client"s3cret', 'client\\"s3cret', 'p%40ssw0rd', 'p@ssw0rd'])(
  'the secret %s of the job is hidden wherever it turns up',
  (secret) => {
    expect(redactor.clean(`server said: <${secret}>`)).toBe('server said: <***>');
  },
);

test('harmless words of the job stay', () => {
  const text = 'alice loads application/json into cities at db.example by bearer';
  expect(redactor.clean(text)).toBe(text);
});

test('a password that is also a harmless word of the job is hidden in addresses only', () => {
  const weak = new Redactor();
  weak.learn({ url: 'postgres://postgres:postgres@127.0.0.1/db' });
  expect(weak.clean('postgres at postgres://postgres:postgres@127.0.0.1/db')).toBe(
    'postgres at postgres://postgres:***@127.0.0.1/db',
  );
});
