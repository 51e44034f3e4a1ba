import { createHash } from 'node:crypto';
import type { Deployment } from './objects.ts';

/** Letters Kubernetes makes random suffixes of (`k8s.io/apimachinery/pkg/util/rand`). */
const SAFE_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * Names of a Deployment's pods in the form a ReplicaSet gives them, `name-<template>-<pod>`, but
 * the same in every run: both parts are hashes instead of random.
 */
export function podNamesOf(deployment: Deployment): string[] {
  const { name, namespace = 'default' } = deployment.metadata;
  const template = letters(JSON.stringify(deployment.spec.template), 10);
  const replicas = deployment.spec.replicas ?? 1;
  return Array.from({ length: replicas }, (_, index) => {
    const suffix = letters(`${namespace}/${name}/${template}/${index}`, 5);
    return `${name}-${template}-${suffix}`;
  });
}

/** Value of the label `pod-template-hash` of those pods. */
export function templateHashOf(deployment: Deployment): string {
  return letters(JSON.stringify(deployment.spec.template), 10);
}

function letters(text: string, count: number): string {
  const digest = createHash('sha256').update(text).digest();
  return Array.from({ length: count }, (_, i) => SAFE_LETTERS[digest[i]! % 27]).join('');
}
