import type { Claim } from './claim.ts';
import { encap01 } from './rows/encap-01.ts';
import { encap02 } from './rows/encap-02.ts';
import { encap03 } from './rows/encap-03.ts';
import { encap04 } from './rows/encap-04.ts';
import { encap05 } from './rows/encap-05.ts';
import { encap06 } from './rows/encap-06.ts';
import { path01 } from './rows/path-01.ts';
import { path02 } from './rows/path-02.ts';
import { path03 } from './rows/path-03.ts';
import { path04 } from './rows/path-04.ts';
import { path05 } from './rows/path-05.ts';
import { path06 } from './rows/path-06.ts';
import { path07 } from './rows/path-07.ts';
import { path08 } from './rows/path-08.ts';
import { sock01 } from './rows/sock-01.ts';
import { sock02 } from './rows/sock-02.ts';
import { sock03 } from './rows/sock-03.ts';
import { rule01 } from './rows/rule-01.ts';
import { rule02 } from './rows/rule-02.ts';
import { rule03 } from './rows/rule-03.ts';
import { rule04 } from './rows/rule-04.ts';
import { rule05 } from './rows/rule-05.ts';
import { rule06 } from './rows/rule-06.ts';
import { rule07 } from './rows/rule-07.ts';
import { rule08 } from './rows/rule-08.ts';
import { cni01 } from './rows/cni-01.ts';
import { cni02 } from './rows/cni-02.ts';
import { cni03 } from './rows/cni-03.ts';
import { cni04 } from './rows/cni-04.ts';
import { id01 } from './rows/id-01.ts';
import { id02 } from './rows/id-02.ts';
import { pol01 } from './rows/pol-01.ts';
import { pol02 } from './rows/pol-02.ts';
import { pol03 } from './rows/pol-03.ts';
import { obs01 } from './rows/obs-01.ts';
import { obs02 } from './rows/obs-02.ts';
import { l701 } from './rows/l7-01.ts';
import { l702 } from './rows/l7-02.ts';
import { cost01 } from './rows/cost-01.ts';
import { cost02 } from './rows/cost-02.ts';
import { cost03 } from './rows/cost-03.ts';
import { cost04 } from './rows/cost-04.ts';
import { life01 } from './rows/life-01.ts';
import { life02 } from './rows/life-02.ts';
import { redirect01 } from './rows/redirect-01.ts';
import { redirect02 } from './rows/redirect-02.ts';
import { redirect03 } from './rows/redirect-03.ts';
import { redirect04 } from './rows/redirect-04.ts';
import { redirect05 } from './rows/redirect-05.ts';
import { redirect06 } from './rows/redirect-06.ts';
import { redirect07 } from './rows/redirect-07.ts';
import { redirect08 } from './rows/redirect-08.ts';
import { redirect09 } from './rows/redirect-09.ts';
import { redirect10 } from './rows/redirect-10.ts';
import { redirect11 } from './rows/redirect-11.ts';
import { redirect12 } from './rows/redirect-12.ts';
import { redirect13 } from './rows/redirect-13.ts';
import { redirect14 } from './rows/redirect-14.ts';
import { redirect15 } from './rows/redirect-15.ts';
import { redirect16 } from './rows/redirect-16.ts';
import { redirect17 } from './rows/redirect-17.ts';
import { redirect18 } from './rows/redirect-18.ts';
import { redirect19 } from './rows/redirect-19.ts';
import { redirect20 } from './rows/redirect-20.ts';
import { redirect21 } from './rows/redirect-21.ts';
import { redirect22 } from './rows/redirect-22.ts';
import { redirect23 } from './rows/redirect-23.ts';
import { redirect24 } from './rows/redirect-24.ts';
import { redirect25 } from './rows/redirect-25.ts';
import { redirect26 } from './rows/redirect-26.ts';
import { redirect27 } from './rows/redirect-27.ts';
import { redirect28 } from './rows/redirect-28.ts';
import { redirect29 } from './rows/redirect-29.ts';
import { redirect30 } from './rows/redirect-30.ts';
import { redirect31 } from './rows/redirect-31.ts';
import { redirect32 } from './rows/redirect-32.ts';
import { redirect33 } from './rows/redirect-33.ts';
import { redirect34 } from './rows/redirect-34.ts';
import { redirect35 } from './rows/redirect-35.ts';
import { redirect36 } from './rows/redirect-36.ts';
import { redirect37 } from './rows/redirect-37.ts';
import { redirect38 } from './rows/redirect-38.ts';
import { redirect39 } from './rows/redirect-39.ts';
import { redirect40 } from './rows/redirect-40.ts';
import { redirect41 } from './rows/redirect-41.ts';
import { redirect42 } from './rows/redirect-42.ts';
import { redirect43 } from './rows/redirect-43.ts';
import { redirect44 } from './rows/redirect-44.ts';
import { redirect45 } from './rows/redirect-45.ts';
import { redirect46 } from './rows/redirect-46.ts';
import { redirect47 } from './rows/redirect-47.ts';
import { redirect48 } from './rows/redirect-48.ts';
import { redirect49 } from './rows/redirect-49.ts';
import { redirect50 } from './rows/redirect-50.ts';
import { redirect51 } from './rows/redirect-51.ts';
import { redirect52 } from './rows/redirect-52.ts';
import { redirect53 } from './rows/redirect-53.ts';
import { redirect54 } from './rows/redirect-54.ts';
import { redirect55 } from './rows/redirect-55.ts';
import { redirect56 } from './rows/redirect-56.ts';
import { redirect57 } from './rows/redirect-57.ts';
import { redirect58 } from './rows/redirect-58.ts';
import { redirect59 } from './rows/redirect-59.ts';
import { redirect60 } from './rows/redirect-60.ts';
import { redirect61 } from './rows/redirect-61.ts';
import { redirect62 } from './rows/redirect-62.ts';
import { redirect63 } from './rows/redirect-63.ts';
import { redirect64 } from './rows/redirect-64.ts';
import { redirect65 } from './rows/redirect-65.ts';
import { redirect66 } from './rows/redirect-66.ts';
import { redirect67 } from './rows/redirect-67.ts';

/** Every claim, in the order in which they are told; a test holds it complete. */
export const ALL_CLAIMS: readonly Claim[] = [
  encap01,
  encap02,
  encap03,
  encap04,
  encap05,
  encap06,
  path01,
  path02,
  path03,
  path04,
  path05,
  path06,
  path07,
  path08,
  sock01,
  sock02,
  sock03,
  rule01,
  rule02,
  rule03,
  rule04,
  rule05,
  rule06,
  rule07,
  rule08,
  cni01,
  cni02,
  cni03,
  cni04,
  id01,
  id02,
  pol01,
  pol02,
  pol03,
  obs01,
  obs02,
  l701,
  l702,
  cost01,
  cost02,
  cost03,
  cost04,
  life01,
  life02,
  redirect01,
  redirect02,
  redirect03,
  redirect04,
  redirect05,
  redirect06,
  redirect07,
  redirect08,
  redirect09,
  redirect10,
  redirect11,
  redirect12,
  redirect13,
  redirect14,
  redirect15,
  redirect16,
  redirect17,
  redirect18,
  redirect19,
  redirect20,
  redirect21,
  redirect22,
  redirect23,
  redirect24,
  redirect25,
  redirect26,
  redirect27,
  redirect28,
  redirect29,
  redirect30,
  redirect31,
  redirect32,
  redirect33,
  redirect34,
  redirect35,
  redirect36,
  redirect37,
  redirect38,
  redirect39,
  redirect40,
  redirect41,
  redirect42,
  redirect43,
  redirect44,
  redirect45,
  redirect46,
  redirect47,
  redirect48,
  redirect49,
  redirect50,
  redirect51,
  redirect52,
  redirect53,
  redirect54,
  redirect55,
  redirect56,
  redirect57,
  redirect58,
  redirect59,
  redirect60,
  redirect61,
  redirect62,
  redirect63,
  redirect64,
  redirect65,
  redirect66,
  redirect67,
];
