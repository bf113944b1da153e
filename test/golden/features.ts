import { failureFeatures } from "./failure-features.ts";
import type { Feature } from "./feature.ts";
import { recoveryFeatures } from "./recovery-features.ts";
import { stepFeatures } from "./step-features.ts";
import { waitFeatures } from "./wait-features.ts";

/** What golden histories are recorded of. A new feature of the engine gets one here; the code of those that are stored is never changed. */
export const features: readonly Feature[] = [...stepFeatures, ...failureFeatures, ...waitFeatures, ...recoveryFeatures];
