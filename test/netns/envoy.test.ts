import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { sidecarBootstrap } from '../../dataplane/envoy/bootstrap.ts';
import type { SidecarInput } from '../../dataplane/envoy/sidecar-input.ts';
import { createFileCa, loadFileCa } from '../../dataplane/identity/file-ca.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { runProgram } from '../../lab/hosts/run.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { sidecarInputOf } from '../../lab/plan/sidecar-input.ts';
import { loadTopology } from '../../topologies/load.ts';

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'sidecars.yaml');
const envoy = findEnvoy();
const skip = envoy === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.test(
  'sidecarBootstrap() is a configuration that Envoy takes, in every mode',
  { skip },
  async (t) => {
    const folder = t.testdir();
    const plan = planLab(loadTopology(TOPOLOGY));
    const pod = plan.pods.find(({ name }) => name === 'httpbin')!;
    const ca = loadFileCa(createFileCa({ dir: join(folder, 'ca') }));
    const { trustDomain } = plan;
    const { namespace, serviceAccount } = pod;
    const { credentials } = await ca.fetchCertificate({ trustDomain, namespace, serviceAccount });
    const files = { accessLog: '/dev/null', legLog: '/dev/null', keyLog: '/dev/null' };
    const planned = sidecarInputOf(plan, pod);
    const ports = (['http', 'tcp', 'auto'] as const).map((protocol, n) => ({
      port: 9100 + n,
      protocol,
    }));
    const validate = async (name: string, change: Partial<SidecarInput>): Promise<string> => {
      const input = { ...planned, inboundPorts: ports, credentials, files, ...change };
      const file = join(folder, `${name}.json`);
      await writeFile(file, JSON.stringify(sidecarBootstrap(input)));
      const argv = [envoy!, '--mode', 'validate', '-c', file] as const;
      const done = await runProgram(argv, { timeoutMs: 60_000 });
      return done.exitCode === 0 ? 'OK' : done.stderr.slice(-600);
    };
    for (const mode of ['PERMISSIVE', 'STRICT', 'DISABLE'] as const) {
      t.equal(
        await validate(mode, { mtls: { mode, ports: { 9100: 'PERMISSIVE', 7000: 'STRICT' } } }),
        'OK',
        mode,
      );
    }
    t.equal(
      await validate('tproxy', { isTproxy: true, hasIpv6: true }),
      'OK',
      'TPROXY, dual stack',
    );
    const broken = { ...credentials, key: 'no key' };
    t.not(await validate('broken', { credentials: broken }), 'OK', 'a key that is none is refused');
  },
);
