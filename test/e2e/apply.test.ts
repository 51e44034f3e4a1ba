import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { command } from './support/command.ts';
import { scratchDirectory } from './support/lab.ts';

const LAB = `t${process.pid}apply`;
const TOPOLOGY = `name: apply
nodes: [node1]
namespaces: { demo: { mode: ambient } }
workloads:
  sleep: { namespace: demo, app: none }
  web: { namespace: demo, app: http }
`;

/** `near` may in, and nobody is called so. */
const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: demo }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ podSelector: { matchLabels: { app: near } } }] }]
`;

function podText(labels: string, annotations = '{}', image = 'ambient-lab/idle'): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: sleep, namespace: demo, labels: ${labels}, annotations: ${annotations} }
spec:
  serviceAccountName: sleep
  containers: [{ name: idle, image: ${image} }]
`;
}

t.test('apply and delete change policies and pods of a running lab', async (t) => {
  await using scratch = await scratchDirectory();
  const topology = join(scratch.path, 'topology.yaml');
  await writeFile(topology, TOPOLOGY);
  const policy = join(scratch.path, 'policy.yaml');
  await writeFile(policy, POLICY);
  const up = await command(['up', topology, '--lab', LAB]);
  t.equal(up.exitCode, 0, up.stderr);
  t.teardown(() => command(['down', '--lab', LAB]));
  const run = (...argv: string[]) => command([...argv, '--lab', LAB]);
  const apply = async (text: string) => {
    const file = join(scratch.path, 'object.yaml');
    await writeFile(file, text);
    return run('apply', '-f', file);
  };
  const reach = async (): Promise<string> => {
    const url = 'http://web.demo.pod:8080/get';
    const { pods } = JSON.parse((await run('status', '--json')).stdout) as {
      pods: readonly { name: string; address: string }[];
    };
    const address = pods.find(({ name }) => name === 'web')!.address;
    const argv = ['curl', '-s', '-m', '4', '-o', '/dev/null', '-w', '%{http_code}'];
    const to = url.replace('web.demo.pod', address);
    return (await command(['exec', '--lab', LAB, 'sleep', '--', ...argv, to])).stdout;
  };

  t.match(await apply(podText('{ app: sleep, istio.io/dataplane-mode: none }')), {
    exitCode: 0,
    stdout: 'Pod demo/sleep configured: labels, left the mesh',
  });
  t.equal(await reach(), '200', 'control: before the policy');
  t.match(await run('apply', '-f', policy), {
    exitCode: 0,
    stdout: 'NetworkPolicy demo/web created: isolates demo/web (Ingress)',
  });
  t.equal(await reach(), '000', 'the policy does not name it');
  const onNode = (await run('rules', 'node1')).stdout;
  t.match(
    onNode,
    /web ingress denied"? {2}\[[1-9]\d* packets/,
    'the rule that dropped it has counted',
  );
  t.match(onNode, 'demo/web is isolated for ingress', 'and says why it is there');
  t.match(await apply(podText('{ app: near, istio.io/dataplane-mode: none }')), { exitCode: 0 });
  t.equal(await reach(), '200', 'labelled as the policy wants it');
  t.match(await apply(podText('{ app: near }', "{ ambient.istio.io/dns-capture: 'false' }")), {
    stdout: 'Pod demo/sleep configured: labels and annotations, joined the mesh',
  });
  const rules = await run('rules', 'demo/sleep');
  t.notMatch(rules.stdout, '15053', 'the annotation counts where the pod joins the mesh');
  t.equal(rules.exitCode, 0, 'and is what the rules are held to');

  t.match(await apply(TOPOLOGY.replace('name: apply', 'kind: Topology')), {
    exitCode: 2,
    stderr: /object\.yaml:1:7: Unknown kind "Topology": want .*NetworkPolicy/,
  });
  t.match(await apply('apiVersion: v1\nkind: Namespace\nmetadata: { name: new }\n'), {
    exitCode: 2,
    stderr: /:2:7: Cannot apply Namespace "new" to a running lab: want a NetworkPolicy, or a Pod/,
  });
  t.match(await apply(podText('{}', '{}', 'ambient-lab/http')), {
    exitCode: 2,
    stderr: /Cannot change the spec of the pod "demo\/sleep" while it runs/,
  });
  t.match(await run('delete', 'service', 'web'), {
    exitCode: 2,
    stderr: 'Cannot delete a "service" in a running lab: want networkpolicy',
  });
  t.match(await run('delete', 'netpol', 'wbe', '-n', 'demo'), {
    exitCode: 2,
    stderr: /the lab has demo\/web\nDid you mean "demo\/web"\?/,
  });
  t.match(JSON.parse((await run('status', '--json')).stdout), { networkPolicies: ['demo/web'] });
  t.match(await run('delete', '-f', policy, '--json'), {
    exitCode: 0,
    stdout: /"name": "demo\/web"/,
  });
  t.match(JSON.parse((await run('status', '--json')).stdout), { networkPolicies: [] });
});
