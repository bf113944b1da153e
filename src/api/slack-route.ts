import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { Fault, faultCodeOf } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import { verifyToken } from "#objects/callback-token.ts";
import { slackCommentId, slackDecisionForm } from "#sdk/slack-blocks.ts";
import type { Api, ApiContext } from "./api-context.ts";
import type { LinkDecision } from "./approval-contract.ts";
import { jsonAnswer, problemAnswer } from "./contract.ts";
import { decideCommand } from "./decision.ts";
import { readBody } from "./request-body.ts";
import { callbackSecret } from "./settings.ts";
import { checkSlackSignature } from "./slack-signature.ts";

/** Slack waits for 3 seconds. The decision gets most of them, and the word to whoever pressed the rest. */
const decideMs = 1800;
const tellMs = 800;

/** The part of a block_actions payload that counts. Comment fields stand in `state`, by block and action. */
const BlockActions = z.object({
  type: z.literal("block_actions"),
  user: z.object({ id: z.string().regex(/^\w{1,64}$/) }),
  actions: z.array(z.object({ value: z.string().optional() })),
  state: z.object({ values: z.record(z.string(), z.record(z.string(), z.object({ value: z.string().nullish() }))) }).optional(),
  response_url: z.string().optional(),
});
type BlockActions = z.infer<typeof BlockActions>;

const SlackAnswer = z.object({ ok: z.literal(true), text: z.string() }).openapi("SlackAnswer");

/**
 * The route that Slack calls when somebody presses a button of `slackApprovalBlocks`. The signature proves that it is Slack, and so who pressed; the token in
 * the button's value proves that the message is ours. Other interactions are taken note of, and nothing more.
 */
export function addSlackRoute(api: Api): void {
  api.openAPIRegistry.registerPath({
    method: "post",
    path: "/slack/interactions",
    tags: ["approvals"],
    summary: "Decide by a button in Slack",
    description: "For Slack only: signed with SLACK_SIGNING_SECRET. The body is a form whose field `payload` is the interaction as JSON.",
    security: [],
    responses: { 200: jsonAnswer("Understood.", SlackAnswer), default: problemAnswer },
  });
  api.post("/slack/interactions", async (context) => {
    const body = await readBody(context.req.raw);
    await checkSlackSignature(context.env, { headers: context.req.raw.headers, body }, Date.now());
    const pressed = pressedIn(body);
    if (!pressed) return context.json({ ok: true, text: "There was nothing to decide." } satisfies z.infer<typeof SlackAnswer>, 200);
    try {
      const text = await within(decideMs, decide(context, pressed));
      await tell(pressed.interaction, text);
      return context.json({ ok: true, text } satisfies z.infer<typeof SlackAnswer>, 200);
    } catch (error) {
      // Slack shows no more than a warning sign for a refusal.
      if (error instanceof Fault) await tell(pressed.interaction, refusalText(error));
      throw error;
    }
  });
}

/** A button of ours that was pressed. */
interface Pressed {
  readonly interaction: BlockActions;
  readonly decision: LinkDecision["decision"];
  readonly token: string;
}

/** Null for an interaction that decides nothing. @throws Fault `invalid_request` for a body that is not Slack's. */
function pressedIn(body: Uint8Array): Pressed | null {
  const interaction = BlockActions.safeParse(payloadOf(body));
  if (!interaction.success) return null;
  const [action] = interaction.data.actions;
  const [, decision, token] = slackDecisionForm.exec(action?.value ?? "") ?? [];
  if (token === undefined || (decision !== "approved" && decision !== "rejected")) return null;
  return { interaction: interaction.data, decision, token };
}

function payloadOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new URLSearchParams(new TextDecoder().decode(body)).get("payload") ?? "");
  } catch {
    throw new Fault("invalid_request", "The body must be a form whose field `payload` is JSON.", { in: "body", issues: [] });
  }
}

/** Repeatable: the same press again changes nothing. */
async function decide(context: Context<ApiContext>, { interaction, decision, token }: Pressed): Promise<string> {
  const { namespace, runId, key } = verifyToken(callbackSecret(context.env), "approval", token);
  const comment = (interaction.state?.values[slackCommentId]?.[slackCommentId]?.value ?? "").slice(0, limits.commentLength);
  const who = { key, actor: `slack:${interaction.user.id}`, via: "slack" } as const;
  await context.var.ports.run(namespace, runId).decide(decideCommand(who, { decision, comment }, "json"));
  return `You have ${decision} ${key} of run ${runId}.`;
}

/** @throws Fault `overloaded` past the time; what was begun may still happen, and pressing again finds it done. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = scheduler.wait(ms).then(() => {
    throw new Fault("overloaded");
  });
  return await Promise.race([work, late]);
}

function refusalText(fault: Fault): string {
  if (fault.code === "invalid_payload") return "This approval asks for data that Slack can't take: press Open to fill them in.";
  return faultCodeOf(fault) === "overloaded" ? "That took too long. Please press again." : `Nothing was recorded: ${fault.message}`;
}

/**
 * Says to whoever pressed, and only to them, what came of it: Slack ignores what the answer to a press says. It is a courtesy, and its failure changes nothing.
 */
async function tell({ response_url: url }: BlockActions, text: string): Promise<void> {
  // The signature vouches for the address; this keeps a leaked secret from sending us elsewhere.
  if (!url?.startsWith("https://hooks.slack.com/")) return;
  const body = JSON.stringify({ response_type: "ephemeral", replace_original: false, text });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body, signal: AbortSignal.timeout(tellMs) };
  await fetch(url, init).then(
    (response) => response.body?.cancel(),
    () => {
      // Not told; the inbox and the run know.
    },
  );
}
