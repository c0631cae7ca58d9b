// Reads {name: figure} and writes {name: what mermaid says against it, or null}.
import { readFileSync } from "node:fs";
import DOMPurify from "dompurify";
import mermaid from "mermaid";

// Without a browser there is no page to protect: figures are only parsed here.
DOMPurify.addHook = () => {};
DOMPurify.sanitize = (text) => text;

const faults = async (figure) => {
  try {
    await mermaid.parse(figure);
    return null;
  } catch (error) {
    return String(error);
  }
};
const figures = JSON.parse(readFileSync(0, "utf8"));
const answers = await Promise.all(Object.entries(figures).map(async ([name, figure]) => [name, await faults(figure)]));
process.stdout.write(JSON.stringify(Object.fromEntries(answers)));
