import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyRules } from '../../../dataplane/agent/apply-rules.ts';
import { createFileCa } from '../../../dataplane/identity/file-ca.ts';
import { closeNetns, openNetns } from '../../../dataplane/kernel/netns.ts';
import { DEFAULT_ERA_NAME } from '../../../topologies/era.ts';
import { podRules } from '../../../dataplane/redirect/pod-rules.ts';
import type { PodPlan } from '../../plan/plan.ts';
import { renderStaticConfig } from '../../plan/static-config.ts';
import type { Lab } from '../../world/lab.ts';
import { netnsPath, seenFromOutside } from '../../world/paths.ts';
import { type InLab, startInLab } from './in-lab.ts';

const MARK = 0x539;

/** The ztunnel of each pod, by the pod's name. */
export type ZtunnelsOfPods = ReadonlyMap<string, InLab>;

/**
 * Puts a ztunnel beside each pod of a lab without a mesh: dedicated mode, a static file, a CA of its
 * own (facts of ztunnel §5.1 A; a genuine one has to be built with its feature `testing`), behind
 * the redirect of a pod of the present era. The CA's files are for ours; a genuine one has its own.
 */
export async function startForeignZtunnels(
  lab: Lab,
  argv: readonly string[],
): Promise<ZtunnelsOfPods> {
  const ca = createFileCa({ dir: join(lab.directory, 'foreign-ca') });
  const pods = lab.plan.pods.filter(({ system }) => !system);
  // ztunnel watches the folder of its file: nothing else may change in it.
  const folder = join(lab.directory, 'foreign');
  mkdirSync(folder);
  const file = join(folder, 'workloads.yaml');
  writeFileSync(
    file,
    renderStaticConfig(
      lab.plan,
      pods.map(({ uid }) => uid),
    ),
  );
  const started = pods.map(async (pod): Promise<readonly [string, InLab]> => {
    await redirect(lab, pod);
    const env = {
      ...environmentOf(pod),
      LOCAL_XDS_PATH: file,
      CA_CERT_FILE: ca.certFile,
      CA_KEY_FILE: ca.keyFile,
    };
    return [
      pod.name,
      await startInLab(lab, `${pod.namespace}/${pod.name}`, argv, {
        name: `ztunnel-${pod.name}`,
        env,
      }),
    ];
  });
  return new Map(await Promise.all(started));
}

function environmentOf(pod: PodPlan): Readonly<Record<string, string>> {
  return {
    PROXY_MODE: 'dedicated',
    PROXY_WORKLOAD_INFO: `${pod.namespace}/${pod.name}/${pod.serviceAccount}`,
    XDS_ADDRESS: '',
    FAKE_CA: 'true',
    PACKET_MARK: String(MARK),
    ENABLE_ORIG_SRC: 'false',
    ISTIO_META_DNS_CAPTURE: 'false',
    NODE_NAME: pod.node,
    RUST_LOG: 'info',
  };
}

async function redirect(lab: Lab, pod: PodPlan): Promise<void> {
  const rules = podRules({ era: DEFAULT_ERA_NAME, dnsCapture: false });
  const netns = openNetns(seenFromOutside(lab, netnsPath(pod.netns)));
  try {
    await applyRules(rules, { netns, guardrails: false });
  } finally {
    closeNetns(netns);
  }
}
