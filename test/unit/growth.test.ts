import t from 'tap';
import { sidecarConfiguration } from '../../lab/bench/growth/count-configuration.ts';
import {
  DOUBLING_SIZES,
  growthOf,
  type GrowthRow,
  PUBLISHED_SIZES,
} from '../../lab/bench/growth/growth.ts';
import { linesOfService } from '../../lab/bench/growth/lines-of-service.ts';
import { meshOfSize } from '../../lab/bench/growth/mesh-of-size.ts';
import { growthSection } from '../../lab/report/html/growth-section.ts';
import { html } from '../../lab/report/html/markup.ts';
import { growthFinding, linesOfOneService } from '../../lab/claims/checks/growth.ts';

const published = growthOf(PUBLISHED_SIZES);
const doubling = growthOf(DOUBLING_SIZES);

t.test('growthOf() counts what people publish out of generated configuration', async (t) => {
  const [small, large] = published;
  t.match(small, {
    pods: 4,
    services: 4,
    sidecars: { proxies: 4, sets: 16, setsOfOwnNamespace: 8 },
  });
  t.same(small?.waypoints, { proxies: 2, sets: 4 });
  const sidecars = { proxies: 500, sets: 25_000, setsOfOwnNamespace: 12_500 };
  t.match(large, { pods: 500, services: 50, sidecars });
  t.same(large?.waypoints, { proxies: 4, sets: 100 });
  t.equal(large?.ztunnels.proxies, 5, 'one ztunnel a node of 110 pods');
  t.equal(large?.ztunnels.sets, 5 * 50, 'each told of every service');
  t.ok(large!.sidecars.bytes > 50 * large!.ztunnels.bytes);
});

t.test(
  'growthOf() has sidecars grow with the square of a mesh, ztunnels with the mesh',
  async (t) => {
    const rows = doubling;
    for (const [at, row] of rows.slice(1).entries()) {
      const before = rows[at]!;
      const { sidecars, ztunnels } = row;
      t.equal(sidecars.sets, 4 * before.sidecars.sets, `${row.pods} pods`);
      t.equal(ztunnels.sets, 2 * before.ztunnels.sets);
      t.ok(ztunnels.bytes < 2 * before.ztunnels.bytes, 'a part of it is always there');
      t.ok(sidecars.bytes > 2 * before.sidecars.bytes, 'more than the mesh');
    }
    const grown = rows
      .slice(1)
      .map(({ sidecars }, at) => sidecars.bytes / rows[at]!.sidecars.bytes);
    t.same(
      grown,
      [...grown].sort((a, b) => a - b),
      'its share of all grows: it goes towards fourfold',
    );
  },
);

t.test('sidecarConfiguration() is told of pods of all namespaces, and of no keys', async (t) => {
  const plan = meshOfSize(PUBLISHED_SIZES[0], 'sidecar');
  const pod = plan.pods.find(({ namespace }) => namespace === 'team1')!;
  const text = JSON.stringify(sidecarConfiguration(plan, pod));
  for (const service of ['app1.team1', 'app2.team1', 'app1.team2', 'app2.team2']) {
    t.ok(text.includes(`outbound|80||${service}.svc.cluster.local`), service);
  }
  t.notMatch(text, /BEGIN|keys\.log/);
  t.match(text, /"inline_string":""/, 'control: where they would stand');
});

t.test(
  'linesOfService() tells the sidecars of others, of its own pod, and ztunnel apart',
  async (t) => {
    const { further, first, own, ztunnel } = linesOfService();
    t.ok(ztunnel > 0 && ztunnel < further && further < first && first < own, 'in this order', {
      found: { further, first, own, ztunnel },
    });
  },
);

t.test('claims of configuration hold by these counts, and name them', async (t) => {
  const [small, large] = published as [GrowthRow, GrowthRow];
  const growth = growthFinding([small, large], doubling);
  t.equal(growth.outcome, 'holds');
  t.match(growth.text, /4 pods 16 : 4 \(8 : 4 .*500 pods 25,000 : 100 \(12,500 : 100 /);
  t.equal(growth.evidence.length, DOUBLING_SIZES.length + PUBLISHED_SIZES.length);
  const other = { ...large, sidecars: { ...large.sidecars, setsOfOwnNamespace: 12_499 } };
  t.equal(growthFinding([small, other], doubling).outcome, 'refuted', 'another count');
  t.equal(growthFinding([small, large], [small, large]).outcome, 'refuted', 'no doubling');
  const lines = linesOfOneService();
  t.equal(lines.outcome, 'holds');
  t.match(lines.text, /^\d{3} lines of JSON .* \d{2} lines of YAML in each ztunnel$/);
});

t.test('growthSection() draws both meshes and says every figure', async (t) => {
  const { text } = growthSection([...doubling, published[1]!], ({ title, drawing }) => {
    return html`<figure title="${title}">${drawing}</figure>`;
  });
  for (const word of ['25,000', '120 MB', 'Configuration of one proxy', 'a lower bound']) {
    t.ok(text.includes(word), word);
  }
  t.notMatch(text, / id="show-/, 'the boxes of the page stay one of a kind');
  t.equal(text.match(/class="series mode-sidecar"/g)?.length, 3, 'in the legend and two charts');
});
