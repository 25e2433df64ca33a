import { describeWebhookUrls } from "../domain/webhook-url-laws.ts";

// The product judges addresses here, and fetches what this parser made of them.
describeWebhookUrls("workerd");
