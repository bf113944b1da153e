import { createMockSaas } from "./app.ts";

/** The mock SaaS as a Worker of its own. */
export default createMockSaas();
