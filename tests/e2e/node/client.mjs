// OpenAI's client for Node against /v1; prints what it got as JSON.
import process from "node:process";
import OpenAI from "openai";

const { BASE_URL: baseURL, API_KEY: apiKey, MODEL: model, KB: knowledgeBase } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "年假有几天？" }];
const limit = { type: "function", function: { name: "limit", parameters: { type: "object" } } };

async function failure(request) {
  try {
    await request;
  } catch (error) {
    return error;
  }
  return {};
}

const models = [];
for await (const one of client.models.list()) models.push(one.id);

const { data: stream, request_id: requestId } = await client.chat.completions
  .create(
    { model, messages, stream: true, stream_options: { include_usage: true } },
    { headers: { "X-Request-Id": "asked-in-node" } },
  )
  .withResponse();
let streamed = "";
let usage = null;
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}

const called = await client.chat.completions.create({ model, messages, tools: [limit] });
const [call] = called.choices[0].message.tool_calls;
const answer = await client.chat.completions.create({ model: knowledgeBase, messages });
const vectors = await client.embeddings.create({ model: "lengths", input: ["年假", "abc"] });
const unknown = await failure(client.chat.completions.create({ model: "gpt-nothing", messages }));
const stranger = new OpenAI({ baseURL, apiKey: "c2l-no-such-key", maxRetries: 0 });

console.log(
  JSON.stringify({
    models: [model, knowledgeBase].filter((name) => models.includes(name)),
    streamed,
    usage: usage.total_tokens > 0,
    requestId,
    tool: JSON.parse(call.function.arguments),
    cited: answer.citations.map((one) => one.reference.match(/\[(.+?)\]/)[1]),
    vectors: vectors.data.map((row) => row.embedding),
    unknown: unknown.code,
    stranger: (await failure(stranger.models.list())).constructor.name,
  }),
);
