/** Makes a lab that belongs to this process, says so, and waits to be killed. */
import { planLab } from '../../../lab/plan/plan-lab.ts';
import { createLab } from '../../../lab/world/client.ts';
import { loadTopology } from '../../../topologies/load.ts';

const [file = '', name = ''] = process.argv.slice(2);
const lab = await createLab(planLab(loadTopology(file), { lab: name }), { withoutMesh: true });
process.stdout.write(`${lab.supervisorPid}\n`);
setInterval(() => {}, 60_000);
