import { splitAddress } from '../../facts/address.ts';
import type { Leg, Path, RunFacts } from '../../facts/facts.ts';
import { nameOf } from '../../judge/places.ts';
import {
  endText,
  marksText,
  passText,
  sinceText,
  translationsBefore,
  translationsInside,
  tunnelTexts,
} from '../leg-words.ts';
import { passSentence } from './hooks.ts';
import { placeOfEnd } from './map-model.ts';
import type { ReplayStep } from './page-data.ts';

/** Id of a hop's element: request, leg and sighting as they stand in their lists. */
export function hopId(request: string, leg: number, sighting: number): string {
  return `${request}-${leg}-${sighting}`;
}

/** The way of one request over the map: programs and, between them, every interface that saw it. */
export function replaySteps(facts: RunFacts, path: Path, request: string): readonly ReplayStep[] {
  const steps: ReplayStep[] = [];
  path.legs.forEach((leg, index) => {
    const previous = path.legs[index - 1];
    const isNewPlace = previous === undefined || placeOfEnd(previous.to) !== placeOfEnd(leg.from);
    if (isNewPlace) steps.push(startStep(facts, path, leg));
    steps.push(...hopSteps(facts, leg, request, index));
    steps.push(arrivalStep(path, leg, path.legs[index + 1]));
  });
  return steps;
}

function startStep(facts: RunFacts, { request }: Path, leg: Leg): ReplayStep {
  const wanted = leg.wanted ?? leg.to.address;
  const name = nameOf(facts, splitAddress(wanted).ip);
  const who = name === splitAddress(wanted).ip ? '' : ` (${name})`;
  return {
    ...about(leg),
    kind: 'program',
    place: placeOfEnd(leg.from),
    title: endText(leg.from),
    text: `asks for ${request.to}: its socket ${leg.from.address} dials ${wanted}${who}.`,
  };
}

function hopSteps(
  facts: RunFacts,
  leg: Leg,
  request: string,
  legIndex: number,
): readonly ReplayStep[] {
  const sightings = facts.connections[leg.connection]?.sightings ?? [];
  return sightings.map((sighting, index) => {
    const last = index === sightings.length - 1;
    const changes = [
      ...translationsBefore(leg, sightings, index),
      ...(last ? translationsInside(leg, sighting) : []),
    ];
    const parts = [
      `${wordOf(sighting.direction)}, TTL ${sighting.ttl}`,
      passSentence(passText(facts, sightings, index)),
      marksText(sighting),
      `frame #${leg.passages[index]?.frame ?? sighting.firstFrame}`,
      sinceText(leg, index),
      ...tunnelTexts(sighting),
      ...changes.map((change) => `NAT: ${change}`),
    ];
    return {
      ...about(leg),
      kind: 'hop' as const,
      place: `${sighting.netns}/${sighting.interface}`,
      title: `${sighting.netns}/${sighting.interface}`,
      text: parts.filter(Boolean).join(' · '),
      hop: hopId(request, legIndex, index),
    };
  });
}

function arrivalStep(path: Path, leg: Leg, next: Leg | undefined): ReplayStep {
  return {
    ...about(leg),
    kind: 'program',
    place: placeOfEnd(leg.to),
    title: endText(leg.to),
    text:
      leg.to.kind === 'ztunnel' || leg.to.kind === 'envoy'
        ? proxyText(path, leg, next)
        : answerText(path, leg),
  };
}

function proxyText({ failure }: Path, leg: Leg, next: Leg | undefined): string {
  const listener = leg.to.listener === undefined ? '' : ` on its port ${leg.to.listener}`;
  const takes = `takes it${listener}, inside ${leg.to.netns}`;
  if (next === undefined) {
    return `${takes}, and ends it${failure === undefined ? '' : `: ${failure}`}.`;
  }
  if (next.mtls !== undefined) {
    const { clientIdentity: own } = next.mtls;
    return `${takes}, and sends it to ${next.to.address} over mutual TLS${own ? `, as ${own}` : ''}.`;
  }
  if (next.hbone === undefined) {
    return `${takes}, and opens a plain connection to ${next.to.address}, as ${next.from.address}.`;
  }
  const { stream, clientIdentity } = next.hbone;
  const who = clientIdentity === undefined ? '' : `, as ${clientIdentity}`;
  return `${takes}, and asks ${next.to.address} for CONNECT ${stream.authority ?? ''} on HBONE stream ${stream.stream}${who}.`;
}

function answerText({ request }: Path, leg: Leg): string {
  const seen = request.sourceSeenByApp;
  const from = seen === undefined ? leg.from.address : seen;
  const answer = request.status === undefined ? request.outcome : `status ${request.status}`;
  return `gets it, as from ${from}. The client saw: ${answer}.`;
}

function about(leg: Leg): Pick<ReplayStep, 'leg' | 'wrapping'> {
  return { leg: leg.number, wrapping: leg.encapsulation };
}

/** A direction in words, from the point of view of the namespace. */
function wordOf(direction: 'in' | 'out' | 'loop'): string {
  return direction === 'loop' ? 'loopback' : direction === 'in' ? 'comes in' : 'goes out';
}
