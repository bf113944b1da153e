import type { Notice } from "./step.ts";

/** A block of Slack's Block Kit. */
export type SlackBlock = { readonly type: string } & Readonly<Record<string, unknown>>;

/** The block and action id of the comment field. */
export const slackCommentId = "segno_comment";

/** What the value of a decision's button says: the decision, a colon, and the token of an approval's link. */
export const slackDecisionForm = /^(approved|rejected):([\w.-]+)$/;

/** Slack takes no longer value of a button. */
const longestValue = 2000;

/**
 * The blocks of a Slack message that asks for an approval: what it is about, a comment field, the buttons Approve and Reject, and one that opens the page of
 * the link (which is the way to decide where the approval has a form). Set the app's interactivity request URL to `/slack/interactions` of this Segno, and its
 * signing secret as `SLACK_SIGNING_SECRET`.
 *
 * The decision is recorded as that of `slack:<user id>`, whoever presses; so send the message only where those who see it may decide. Of a notice without
 * links, the text alone.
 *
 * The format, for messages that you build yourself: a button of any `action_id` whose `value` is `approved:<token>` or `rejected:<token>`, where the token is
 * what stands behind the last slash of a link's URL; and, if you like, an input block with the `block_id` and `action_id` `segno_comment`.
 * @param assignee whose link the buttons carry; default: the first.
 * @example
 * const ask = automation<Notice>({
 *   name: "ask-in-slack",
 *   run: async ({ input, signal }) => postMessage({ channel: "#approvals", text: input.message, blocks: slackApprovalBlocks(input) }, signal),
 * });
 */
export function slackApprovalBlocks(notice: Notice, assignee?: string): readonly SlackBlock[] {
  const link = assignee === undefined ? notice.links[0] : notice.links.find((it) => it.assignee === assignee);
  const facts = [`Workflow: ${notice.workflow}`, `Run: ${notice.runId}`, ...(link ? [`Asked: ${notice.links.map((it) => it.assignee).join(", ")}`] : [])];
  const section = { type: "section", text: plainText([notice.message, ...facts].join("\n").slice(0, 3000)) };
  if (!link) return [section];
  const comment = { type: "plain_text_input", action_id: slackCommentId, multiline: true, max_length: 3000 };
  return [
    section,
    { type: "input", block_id: slackCommentId, optional: true, label: plainText("Comment"), element: comment },
    { type: "actions", elements: buttons(link.url) },
  ];
}

function buttons(url: string): readonly SlackBlock[] {
  const token = url.slice(url.lastIndexOf("/") + 1);
  const open = { type: "button", action_id: "segno_open", text: plainText("Open"), url };
  // Names long beyond reason leave the page as the only way.
  if (token.length + "approved:".length > longestValue) return [open];
  return [
    { type: "button", action_id: "segno_approve", style: "primary", text: plainText("Approve"), value: `approved:${token}` },
    { type: "button", action_id: "segno_reject", style: "danger", text: plainText("Reject"), value: `rejected:${token}` },
    open,
  ];
}

/** Not Slack's markup, so that no name of a run can mention anybody. */
function plainText(text: string): SlackBlock {
  return { type: "plain_text", text, emoji: false };
}
