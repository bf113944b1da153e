import { z } from "zod";

/** The services, as fault control and the lists of calls and effects name them. */
export const Service = z.enum([
  "projects",
  "accounts",
  "tenants",
  "emails",
  "csms",
  "kickoffs",
  "kyc",
  "billing",
  "infra",
  "migrations",
  "deploys",
  "cache",
  "notifications",
]);
export type Service = z.infer<typeof Service>;
