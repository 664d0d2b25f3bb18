#include "server/query_text.hpp"

extern "C" {
#include "nodes/parsenodes.h"
#include "parser/parser.h"
}

namespace ark {
namespace {

// A place in the text is none in the statement of the caller.
void move_position(void* sql) {
    const int position = geterrposition();
    if (position <= 0)
        return;
    errposition(0);
    internalerrposition(position);
    internalerrquery(static_cast<const char*>(sql));
}

List* parse(const char* sql) {
    ErrorContextCallback callback = {};
    callback.callback = move_position;
    callback.arg = const_cast<char*>(sql);
    callback.previous = error_context_stack;
    error_context_stack = &callback;
    List* statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    error_context_stack = callback.previous;
    return statements;
}

[[noreturn]] void refuse(const char* detail) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a check must be a query"),
                    errdetail_internal("%s", detail),
                    errhint("Write a SELECT that returns a row for each violation.")));
    pg_unreachable();
}

void require_harmless(const SelectStmt& query);

// A WITH that writes can stand at the top alone; that PostgreSQL sees to when it runs.
void require_harmless_with(const WithClause* with) {
    if (with == nullptr)
        return;
    ListCell* cell;
    foreach (cell, with->ctes) {
        const auto* cte = static_cast<const CommonTableExpr*>(lfirst(cell));
        if (!IsA(cte->ctequery, SelectStmt))
            refuse("WITH has a statement that writes.");
        require_harmless(*castNode(SelectStmt, cte->ctequery));
    }
}

void require_harmless(const SelectStmt& query) {
    if (query.intoClause != nullptr)
        refuse("SELECT INTO makes a table.");
    if (query.lockingClause != NIL)
        refuse("FOR UPDATE, FOR SHARE and their like lock rows.");
    require_harmless_with(query.withClause);
    if (query.larg != nullptr)
        require_harmless(*query.larg);
    if (query.rarg != nullptr)
        require_harmless(*query.rarg);
}

}  // namespace

char* one_query(const char* sql) {
    const List* statements = parse(sql);
    if (list_length(statements) != 1)
        ereport(ERROR,
                (errcode(ERRCODE_SYNTAX_ERROR), errmsg("a check must be one query"),
                 errdetail("The text has %d statements.", list_length(statements)),
                 errhint("Write one SELECT that returns a row for each violation; add the others "
                         "as checks of their own.")));
    const auto* statement = static_cast<const RawStmt*>(linitial(statements));
    if (!IsA(statement->stmt, SelectStmt))
        refuse("The statement is another.");
    require_harmless(*castNode(SelectStmt, statement->stmt));
    const char* begin = sql + statement->stmt_location;
    return statement->stmt_len > 0 ? pnstrdup(begin, statement->stmt_len) : pstrdup(begin);
}

}  // namespace ark
