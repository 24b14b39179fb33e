import { Random } from "../support/random.ts";
import { type CutPlan, cutStreams } from "./cuts.ts";

// A process of its own, so that client and server do not share an event loop: its argument is the plan, its message to the
// parent the report.
const plan = JSON.parse(process.argv[2] ?? "") as CutPlan;
process.send?.(await cutStreams(plan, new Random(plan.seed)));
process.disconnect();
