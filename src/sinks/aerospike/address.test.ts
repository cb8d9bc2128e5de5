import { describe, expect, test } from 'vitest';
import { describeTarget, parseTarget } from './address.js';
import { aerospike } from './index.js';

const none = {};

describe('parseTarget', () => {
  test('hosts, with ports and names of certificates', () => {
    expect(parseTarget('aerospike://a,b:4000,[::1]:5000,c:tls.example:4333,d:tls/test/users', none)).toEqual({
      seeds: [
        { host: 'a', port: 3000 },
        { host: 'b', port: 4000 },
        { host: '::1', port: 5000 },
        { host: 'c', port: 4333, tlsName: 'tls.example' },
        { host: 'd', port: 3000, tlsName: 'tls' },
      ],
      namespace: 'test',
      set: 'users',
      user: undefined,
      password: undefined,
    });
  });

  test('user and password, percent-encoded, else from the environment', () => {
    const environment = { AEROSPIKE_USER: 'env', AEROSPIKE_PASSWORD: 'envpass' };
    expect(parseTarget('aerospike://ann:p%40ss@a/test/users', environment)).toMatchObject({
      user: 'ann',
      password: 'p@ss',
    });
    expect(parseTarget('aerospike://ann@a/test/users', environment)).toMatchObject({
      user: 'ann',
      password: 'envpass',
    });
    expect(parseTarget('aerospike://a/test/users', environment)).toMatchObject({ user: 'env', password: 'envpass' });
  });

  test('records may belong to no set', () => {
    expect(parseTarget('aerospike://a/test', none)).toMatchObject({ namespace: 'test', set: '' });
    expect(parseTarget('aerospike://a/test/', none)).toMatchObject({ set: '' });
  });

  test.each([
    'postgres://a/test/users',
    'aerospike://',
    'aerospike://a',
    'aerospike:///test/users',
    'aerospike://a/test/users/more',
    'aerospike://a:99999/test/users',
    'aerospike://a:0/test/users',
    'aerospike://a,,b/test/users',
    'aerospike://a/te%zzst/users',
    'aerospike://a/a;b/users',
    `aerospike://a/${'n'.repeat(32)}/users`,
    `aerospike://a/test/${'s'.repeat(64)}`,
    'aerospike://a/test/users?tls=true',
  ])('refuses %s', (url) => {
    expect(() => parseTarget(url, none)).toThrow(expect.objectContaining({ code: 'bad-address' }));
  });

  test('no message and no identity has the password', () => {
    const secret = 'hunter2';
    const target = parseTarget(`aerospike://ann:${secret}@a:3100,b/test/users`, none);
    expect(describeTarget(target)).toBe('aerospike://a:3100,b:3000/test/users');
    const sink = aerospike({ url: `aerospike://ann:${secret}@a/test/users`, key: 'id', mode: 'replace' });
    expect(sink.identity).toBe('aerospike://a:3000/test/users replace id');
    for (const bad of [
      `aerospike://ann:${secret}@a:99999/test/users`,
      `aerospike://ann:${secret}@/test/users`,
      `aerospike://ann:a/${secret}@h/test`,
      `aerospike://ann:a@${secret}@h/test`,
    ]) {
      expect(() => parseTarget(bad, none)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining(secret) }),
      );
    }
  });
});

test('options that are none are refused before anything is connected', () => {
  const url = 'aerospike://a/test/users';
  for (const options of [
    { url, key: '' },
    { url, key: 'id', ttl: 0 },
    { url, key: 'id', timeout: 0 },
  ]) {
    expect(() => aerospike(options)).toThrow(expect.objectContaining({ name: 'ConfigError', code: 'bad-option' }));
  }
});
