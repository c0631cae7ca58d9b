// Reads {name: query} and writes {name: [what Kusto's own language service says against it]}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

// https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete
const tables = {
  traces: "(timestamp: datetime, message: string, severityLevel: int, customDimensions: dynamic, operation_Id: string)",
  requests: "(timestamp: datetime, name: string, url: string, success: bool, resultCode: string, duration: real, customDimensions: dynamic, operation_Id: string)",
};
const symbols = Object.entries(tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const database = new Symbols.DatabaseSymbol.ctor("insights", globalThis.System.Array.init(symbols, Symbols.Symbol));
const globals = GlobalState.Default.WithDatabase(database);

const faults = (query) => {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => found.getItem(index))
    .map((fault) => `${fault.Message} ${JSON.stringify(query.substr(fault.Start, fault.Length))}`);
};
const queries = JSON.parse(readFileSync(0, "utf8"));
const answers = Object.fromEntries(Object.entries(queries).map(([name, query]) => [name, faults(query)]));
process.stdout.write(JSON.stringify(answers));
