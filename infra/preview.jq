# One row of Markdown a resource that changes, with the changed paths of it; of lists and objects only that they changed.
def cell:
  if . == null then "nothing" elif type | IN("object", "array") then "…" else tostring[:80] end
  | gsub("[|\\n\\r`]"; " ");
def paths(above):
  .[] | (above + .path) as $path
  | if (.children // []) | length > 0 then .children | paths($path + ".")
    else "`\($path)`: \(.before | cell) → \(.after | cell)" end;

.changes[]
| select(.changeType | IN("Ignore", "NoChange") | not)
| [(.delta // []) | paths("")] as $paths
| "| \(.changeType) | `\(.resourceId | split("/providers/") | last)` | \($paths | join("<br>")) |"
