// Reads {name: M text} and writes {name: what the parser of Power Query says against it, or null}.
import { readFileSync } from "node:fs";
import powerQuery from "@microsoft/powerquery-parser";

const { DefaultSettings, TaskUtils } = powerQuery;
const fault = async (text) => {
  const task = await TaskUtils.tryLexParse(DefaultSettings, text);
  return TaskUtils.isParseStageOk(task) ? null : String(task.error?.message ?? task.error);
};
const texts = JSON.parse(readFileSync(0, "utf8"));
const answers = await Promise.all(Object.entries(texts).map(async ([name, text]) => [name, await fault(text)]));
process.stdout.write(JSON.stringify(Object.fromEntries(answers)));
