import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Lab } from '../../lab/world/lab.ts';
import { observe } from '../../lab/run/observe.ts';
import {
  addressOf,
  peerIn,
  PROXY_ERAS,
  scratchDirectory,
  startLab,
  startPeer,
} from './support/lab.ts';

const HUNDRED_MB = 100 * 1024 * 1024;

for (const era of PROXY_ERAS) {
  t.test(`conversations through two ztunnels keep TCP's meaning in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era, 'c');
    const host = addressOf(lab, 'far');
    await bulk(t, lab, host);
    await halfClose(t, lab, host);
    await breaks(t, lab, host);
    await crowd(t, lab, host);
    await samePort(t, lab);
  });
}

/** REDIRECT gives two connections from one port the same tuple, so NAT moves the second's port. */
async function samePort(t: Test, lab: Lab): Promise<void> {
  await t.test('a port used for two servers is told apart', async (t) => {
    await using scratch = await scratchDirectory();
    const hosts = [addressOf(lab, 'far'), addressOf(lab, 'near')];
    const { facts } = await observe(lab, { directory: scratch.path }, async () => {
      for (const host of hosts) {
        const asked = { host, port: 9000, localPort: 4321, text: 'same port' };
        t.match(await peerIn(lab, 'client', 'halfClose', asked), { answer: 'same port' });
      }
      return [];
    });
    const own = facts.connections.filter(
      ({ protocol, sightings }) =>
        protocol === 'tcp' &&
        sightings[0]?.netns === 'client.demo' &&
        (sightings[0].repliesTo ?? sightings[0].client).endsWith(':4321'),
    );
    t.equal(own.length, 2);
    t.same(new Set(own.map(({ end }) => end)), new Set(['closed']));
    const isMoved = own.some(({ sightings }) => sightings[0]?.repliesTo !== undefined);
    t.equal(isMoved, lab.plan.era !== 'geneve', 'NAT moved one, where there is NAT');
  });
}

async function bulk(t: Test, lab: Lab, host: string): Promise<void> {
  await t.test('100 MB each way arrive unchanged', async (t) => {
    await using _up = await startPeer(lab, 'far', 'serve', { port: 9100, kind: 'digest' });
    const sent = await peerIn<{ sent: string; received: string }>(lab, 'client', 'send', {
      host,
      port: 9100,
      bytes: HUNDRED_MB,
    });
    t.equal(sent.received, sent.sent, 'the server digests what the client sent');

    await using _down = await startPeer(lab, 'far', 'serve', {
      port: 9101,
      kind: 'source',
      bytes: HUNDRED_MB,
    });
    const fetched = await peerIn<{ digest: string; bytes: number }>(lab, 'client', 'fetch', {
      host,
      port: 9101,
    });
    t.equal(fetched.bytes, HUNDRED_MB, 'every byte came');
    t.equal(fetched.digest, sent.sent, 'and none was changed: both directions carry the same text');
    t.not(fetched.digest, createHash('sha256').digest('hex'), 'the digest is of something');
  });
}

async function halfClose(t: Test, lab: Lab, host: string): Promise<void> {
  await t.test('either side may end its direction first', async (t) => {
    await using _digest = await startPeer(lab, 'far', 'serve', { port: 9102, kind: 'digest' });
    const client = await peerIn<{ answer: string }>(lab, 'client', 'halfClose', {
      host,
      port: 9102,
      text: 'last words',
    });
    t.equal(
      client.answer,
      createHash('sha256').update('last words').digest('hex'),
      'the answer came after the client had ended',
    );

    await using server = await startPeer(lab, 'far', 'serve', { port: 9103, kind: 'endFirst' });
    const heard = await peerIn<{ answer: string }>(lab, 'client', 'halfClose', {
      host,
      port: 9103,
      text: 'still talking',
    });
    t.equal(heard.answer, 'goodbye', 'the client heard the server end');
    t.same(
      await server.next(),
      { afterMyEnd: 'still talking' },
      'the server heard the client after its own end',
    );
  });
}

async function breaks(t: Test, lab: Lab, host: string): Promise<void> {
  await t.test('a reset and a refusal reach the client as an end', async (t) => {
    await using _server = await startPeer(lab, 'far', 'serve', { port: 9104, kind: 'reset' });
    const reset = await peerIn<{ end: string; ms: number }>(lab, 'client', 'expectReset', {
      host,
      port: 9104,
      text: 'x',
    });
    t.match(reset.end, /^(closed|ECONNRESET)$/, `the server's reset ends the client: ${reset.end}`);
    t.ok(reset.ms < 5_000, 'and does so soon');

    const refused = await peerIn<{ end: string; ms: number }>(lab, 'client', 'expectReset', {
      host,
      port: 9105,
      text: 'x',
    });
    t.match(
      refused.end,
      /^(closed|ECONNRESET)$/,
      `accepted first, ended afterwards: ${refused.end}`,
    );

    await using _control = await startPeer(lab, 'far', 'serve', { port: 9105, kind: 'echo' });
    const control = await peerIn<{ good: number }>(lab, 'client', 'many', {
      host,
      port: 9105,
      count: 1,
    });
    t.equal(control.good, 1, 'the same port answers once somebody listens');
  });
}

async function crowd(t: Test, lab: Lab, host: string): Promise<void> {
  await t.test('500 connections at once each get their own answer', async (t) => {
    const { good, errors } = await peerIn<{ good: number; errors: string[] }>(
      lab,
      'client',
      'many',
      {
        host,
        port: 9000,
        count: 500,
      },
    );
    t.same(errors, [], 'none failed');
    t.equal(good, 500, 'each line came back to the connection that sent it');
  });
}
