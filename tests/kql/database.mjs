// A workspace as Microsoft's parser of Kusto queries sees it: tables, and saved functions with their parameters.
//
// The package is .NET compiled to JavaScript: it puts Bridge and Kusto into the global scope, and overloaded
// constructors have numbers.

import "@kusto/language-service-next/bridge.js";
import "@kusto/language-service-next/Kusto.Language.Bridge.js";

export const { Bridge, Kusto } = globalThis;
const { ClusterSymbol, ColumnSymbol, DatabaseSymbol, FunctionSymbol, ScalarTypes, TableSymbol } = Kusto.Language.Symbols;

function column({ name, type }) {
  const symbol = ScalarTypes.GetSymbol(type);
  if (!symbol) throw new Error(`column ${name} has the type ${type}, which Kusto does not know`);
  return new ColumnSymbol(name, symbol, null, null, null, null);
}

// tables: {NAME: [{"name", "type"}…]}, functions: [{"name", "parameters", "body"}…]
export function database({ tables, functions }) {
  const database = new DatabaseSymbol.$ctor1("workspace", [
    ...Object.entries(tables).map(([name, columns]) => new TableSymbol.$ctor4(name, columns.map(column))),
    // The line break ends a comment on the body's last line.
    ...functions.map(({ name, parameters, body }) => new FunctionSymbol.$ctor16(name, `(${parameters})`, `{${body}\n}`)),
  ], false);
  const cluster = new ClusterSymbol.ctor("cluster", [database]);
  return Kusto.Language.GlobalState.Default.WithCluster(cluster).WithDatabase(database);
}
