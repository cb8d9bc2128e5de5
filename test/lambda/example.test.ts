import { readFile } from 'node:fs/promises';
import aslValidator from 'asl-validator';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseDocument, type ScalarTag, type Tags } from 'yaml';
import * as z from 'zod';
import { readJob } from '../../src/job/file.js';

const folder = 'examples/lambda';

/** CloudFormation's short forms (`!Ref X`, `!GetAtt X.Y`, `!Sub text`), as the mappings they stand for. */
const tags: ScalarTag[] = ['Ref', 'GetAtt', 'Sub'].map((name) => ({
  tag: `!${name}`,
  resolve: (text) => ({ [name === 'Ref' ? name : `Fn::${name}`]: text }),
}));

const templateSchema = z.strictObject({
  AWSTemplateFormatVersion: z.literal('2010-09-09'),
  Transform: z.literal('AWS::Serverless-2016-10-31'),
  Description: z.string(),
  Parameters: z.record(z.string(), z.looseObject({ Type: z.string() })),
  Resources: z.record(
    z.string(),
    z.strictObject({
      Type: z.string(),
      Properties: z.record(z.string(), z.unknown()),
      DeletionPolicy: z.string().optional(),
      UpdateReplacePolicy: z.string().optional(),
    }),
  ),
  Outputs: z.record(z.string(), z.unknown()),
});

let template: z.output<typeof templateSchema>;
let machine: string;

beforeAll(async () => {
  const customTags = (known: Tags): Tags => [...known, ...tags];
  const document = parseDocument(await readFile(`${folder}/template.yaml`, 'utf8'), { customTags });
  expect([...document.errors, ...document.warnings]).toEqual([]);
  template = templateSchema.parse(document.toJS());
  machine = await readFile(`${folder}/long-load.asl.json`, 'utf8');
});

/** Every value that stands under a key, wherever. */
function under(root: unknown, key: string): unknown[] {
  if (typeof root !== 'object' || root === null) return [];
  return Object.entries(root).flatMap(([name, value]) => [...(name === key ? [value] : []), ...under(value, key)]);
}

const properties = (name: string) => template.Resources[name]?.Properties;

describe('the template', () => {
  test('refers only to what is there', () => {
    const known = new Set([...Object.keys(template.Resources), ...Object.keys(template.Parameters)]);
    const refs = under(template, 'Ref').map(String);
    const attributes = under(template, 'Fn::GetAtt').map((text) => String(text).split('.')[0]!);
    const texts = under(template, 'Fn::Sub').flatMap((text) => [...String(text).matchAll(/\$\{([^}]+)\}/g)]);
    const used = [...refs, ...attributes, ...texts.map(([, name = '']) => name)];
    expect(used.length).toBeGreaterThan(20);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
    // What nothing refers to was forgotten.
    expect(Object.keys(template.Parameters).filter((name) => !used.includes(name))).toEqual([]);
  });

  test('makes a small function that never runs twice at once, and ends before its schedule comes again', () => {
    expect(properties('LoadFunction')).toMatchObject({
      MemorySize: 128,
      ReservedConcurrentExecutions: 1,
      Handler: 'index.handler',
      CodeUri: '../../dist-lambda/function',
      Events: { Refresh: { Type: 'ScheduleV2', Properties: { ScheduleExpression: 'rate(5 minutes)', Input: '{}' } } },
    });
    expect(Number(properties('LoadFunction')?.Timeout)).toBeLessThan(300);
  });

  test('allows nothing to everybody, and no more than is named', () => {
    const statements = z
      .array(z.looseObject({ Effect: z.enum(['Allow', 'Deny']), Action: z.unknown(), Resource: z.unknown() }))
      .parse(under(template, 'Statement').flat());
    const allowed = statements.filter(({ Effect }) => Effect === 'Allow');
    expect(allowed).toEqual([
      {
        Sid: 'ReadTheDatabaseSecret',
        Effect: 'Allow',
        Action: 'secretsmanager:GetSecretValue',
        Resource: { 'Fn::GetAtt': 'Cluster.MasterUserSecret.SecretArn' },
      },
    ]);
    expect(under(template, 'CidrIp')).toEqual(['0.0.0.0/0']);
    expect(under(properties('ClusterSecurityGroup'), 'CidrIp')).toEqual([]);
    expect(properties('Writer')).toMatchObject({ PubliclyAccessible: false });
  });

  test('keeps the password out of the environment and of the template', () => {
    const { Variables } = z
      .looseObject({ Variables: z.record(z.string(), z.unknown()) })
      .parse(under(properties('LoadFunction'), 'Environment')[0]);
    expect(Object.keys(Variables).filter((name) => /PASSWORD/.test(name))).toEqual([]);
    expect(properties('Cluster')).toMatchObject({ ManageMasterUserPassword: true, StorageEncrypted: true });
    expect(under(template, 'MasterUserPassword')).toEqual([]);
  });

  test('sets every variable its job asks for', async () => {
    const text = await readFile(`${folder}/cities.yaml`, 'utf8');
    const job = await readJob(text, 'cities.yaml', { CITIES_URL: 'https://example.com/cities' });
    expect(job).toMatchObject({ source: { name: 'http' }, sink: { name: 'postgres', options: { mode: 'upsert' } } });
    expect(Object.keys(Object(under(properties('LoadFunction'), 'Variables')[0]))).toContain('CITIES_URL');
  });

  test('watches what can go wrong, and its alarms name a metric that is there', () => {
    const alarms = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm');
    expect(alarms.map(({ Properties }) => `${Properties.Namespace} ${Properties.MetricName}`)).toEqual([
      'AWS/Lambda Errors',
      'Sluice read',
      'AWS/SQS ApproximateNumberOfMessagesVisible',
      'AWS/States ExecutionsFailed',
    ]);
    for (const { Properties } of alarms) expect(Properties.AlarmActions).toEqual([{ Ref: 'AlarmTopicArn' }]);
    expect(properties('TableIsStale')).toMatchObject({ Dimensions: [{ Name: 'load', Value: 'cities' }] });
  });
});

describe('the state machine', () => {
  test('is one that Step Functions understands', () => {
    const { isValid, errorsText } = aslValidator(JSON.parse(machine));
    expect(isValid, errorsText()).toBe(true);
  });

  test('is given all that is put into it', () => {
    const asked = [...machine.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
    const { DefinitionSubstitutions } = z
      .looseObject({ DefinitionSubstitutions: z.record(z.string(), z.unknown()) })
      .parse(properties('LongLoad'));
    expect(asked).toEqual(Object.keys(DefinitionSubstitutions));
    expect(properties('LongLoad')).toMatchObject({ DefinitionUri: 'long-load.asl.json' });
  });
});
