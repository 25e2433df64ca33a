import { describeWebhookUrls } from "./webhook-url-laws.ts";

describeWebhookUrls("Node");
