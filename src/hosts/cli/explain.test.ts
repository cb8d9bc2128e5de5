import { expect, test } from 'vitest';
import { SinkError } from '../../errors.js';
import { exitCode } from './exit-code.js';
import { explain } from './explain.js';

test('an error is told with its causes, each once', () => {
  const socket = new Error('connect ECONNREFUSED 127.0.0.1:5432');
  const driver = new Error('connect ECONNREFUSED 127.0.0.1:5432', { cause: socket });
  const error = new SinkError('no-server', 'Nobody listens at 127.0.0.1:5432. Is the server up?', { cause: driver });
  expect(explain(error)).toBe(
    'Nobody listens at 127.0.0.1:5432. Is the server up?\n  because: connect ECONNREFUSED 127.0.0.1:5432',
  );
});

test('a cause that the message tells already is left out', () => {
  expect(explain(new Error('a: b', { cause: new Error('b') }))).toBe('a: b');
});

test('errors without a message are told by what they hold', () => {
  const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
  const both = new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')], '');
  expect(explain(new Error('no server', { cause: refused }))).toContain('because: ECONNREFUSED');
  expect(explain(new Error('no server', { cause: both }))).toContain('because: refused ::1; refused 127.0.0.1');
  expect(explain('just a text')).toBe('just a text');
});

test('causes that go round in a circle end', () => {
  const error = new Error('a');
  error.cause = new Error('b', { cause: error });
  expect(explain(error)).toBe('a\n  because: b');
});

test('the stack is shown only for debugging', () => {
  expect(explain(new Error('a'))).not.toContain('explain.test');
  expect(explain(new Error('a'), true)).toContain('explain.test');
});

test.each([
  ['complete', 0],
  ['complete-with-rejects', 1],
  ['too-many-rejects', 2],
  ['failed', 3],
  ['incomplete', 3],
  ['interrupted', 4],
] as const)('a run that ended %s exits with %d', (status, code) => {
  expect(exitCode({ status, error: null })).toBe(code);
});

test('a run that ended by an error nobody foresaw has crashed', () => {
  expect(exitCode({ status: 'failed', error: { code: 'unexpected', message: 'x is not a function' } })).toBe(5);
});
