"""Querysets whose SQL is compiled once: for the few queries that run on every claim and judgment.

Building and compiling a query costs Django ten times what the database takes to answer it. The rules
stay where they are, written as querysets; only the work of turning them into SQL is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from django.db import connection, models
from django.db.models import QuerySet
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators
from django.db.models.sql import Query, UpdateQuery

Row = TypeVar("Row")


class Given(Expression):
    """A value that is given on each call, by name; `field` says how the database wants it."""

    def __init__(self, name: str, field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "%s", (self,)

    def value(self, given: Mapping[str, Any]) -> Any:
        return self.output_field.get_db_prep_value(given[self.name], connection)


class _Id(Given):
    def value(self, given: Mapping[str, Any]) -> Any:
        pk = given[self.name]
        # What a request may name and no row can have: databases refuse what has not 64 bits.
        return -1 if pk is not None and not -(2**63) <= pk < 2**63 else pk


def an_id(name: str) -> Given:
    """A row's id."""
    return _Id(name, models.BigIntegerField())


class _Statement:
    """SQL with its parameters, compiled once for each connection (each thread has its own)."""

    def __init__(self, compile: Callable[[], tuple[str, tuple[Any, ...], Any]]) -> None:
        self._compile = compile

    def compiled(self) -> tuple[str, tuple[Any, ...], Any]:
        known: dict[_Statement, Any] = connection.__dict__.setdefault("_prepared", {})
        found: tuple[str, tuple[Any, ...], Any] | None = known.get(self)
        if found is None:
            found = known[self] = self._compile()
        return found

    def filled(self, given: Mapping[str, Any]) -> tuple[str, list[Any], Any]:
        sql, parameters, rest = self.compiled()
        return sql, [p.value(given) if isinstance(p, Given) else p for p in parameters], rest


class Select(Generic[Row]):
    """A queryset, built once by `build`: calling it with what is given returns its rows.

    They are model instances (with what `select_related` names), or tuples where it is a `values_list`.
    """

    def __init__(self, build: Callable[[], QuerySet[Any, Row]]) -> None:
        self._build = build
        self._statement = _Statement(self._compiled)

    def __call__(self, **given: Any) -> list[Row]:
        sql, parameters, (compiler, converters, read) = self._statement.filled(given)
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: Any = cursor.fetchall()
        if converters:
            rows = compiler.apply_converters(rows, converters)
        return [read(row) for row in rows]

    def first(self, **given: Any) -> Row | None:
        """The first row; the queryset itself should be cut to one, or can have no more."""
        rows = self(**given)
        return rows[0] if rows else None

    def _compiled(self) -> tuple[str, tuple[Any, ...], Any]:
        compiler = self._build().query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column[0] for column in compiler.select])
        return sql, tuple(parameters), (compiler, converters, _reader(compiler))


def _reader(compiler: Any) -> Callable[[Any], Any]:
    """Turns a row into what the queryset would give: as Django's ModelIterable does it."""
    if not compiler.query.default_cols:
        return tuple
    info = compiler.klass_info
    start, end = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [column[0].target.attname for column in compiler.select[start:end]]
    related = get_related_populators(info, compiler.select, connection.alias)  # type: ignore[call-arg]

    def read(row: Any) -> Any:
        instance = info["model"].from_db(connection.alias, names, row[start:end])
        for populator in related:
            populator.populate(row, instance)
        return instance

    return read


class Update:
    """An UPDATE of the rows of a queryset; calling it returns how many rows changed."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]], **values: Any) -> None:
        self._build = build
        self._values = values
        self._statement = _Statement(self._compiled)

    def __call__(self, **given: Any) -> int:
        sql, parameters, _ = self._statement.filled(given)
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def _compiled(self) -> tuple[str, tuple[Any, ...], Any]:
        query: Any = self._build().query.chain(UpdateQuery)
        query.add_update_values(self._values)
        sql, parameters = query.get_compiler(connection=connection).as_sql()
        return sql, tuple(parameters), None


class Insert:
    """An INSERT of one row; calling it with the fields' values (by attname) returns `returning`'s columns.

    Every field must be given, or have its expression: neither defaults nor `auto_now_add` are filled in.
    """

    def __init__(
        self, model: type[models.Model], *, returning: tuple[str, ...] = ("id",), **expressions: Any
    ) -> None:
        self._model = model
        self._returning = returning
        self._expressions = expressions
        self._statement = _Statement(self._compiled)

    def __call__(self, **given: Any) -> tuple[Any, ...]:
        sql, parameters, (compiler, converters) = self._statement.filled(given)
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            row: Any = cursor.fetchone()
        return tuple(next(iter(compiler.apply_converters([row], converters)))) if converters else tuple(row)

    def _compiled(self) -> tuple[str, tuple[Any, ...], Any]:
        compiler = Query(self._model).get_compiler(connection=connection)
        meta: Any = self._model._meta
        quote = connection.ops.quote_name
        fields = [field for field in meta.concrete_fields if not field.primary_key]
        places, parameters = [], []
        for field in fields:
            value = self._expressions.get(field.attname) or _Saved(field.attname, field)
            place, given = compiler.compile(value.resolve_expression(compiler.query))
            places.append(place)
            parameters += given
        columns = [field.get_col(meta.db_table) for field in map(meta.get_field, self._returning)]
        sql = " ".join(
            [
                f"INSERT INTO {quote(meta.db_table)} ({', '.join(quote(field.column) for field in fields)})",
                f"VALUES ({', '.join(places)})",
                f"RETURNING {', '.join(quote(column.target.column) for column in columns)}",
            ]
        )
        return sql, tuple(parameters), (compiler, compiler.get_converters(columns))


class _Saved(Given):
    def value(self, given: Mapping[str, Any]) -> Any:
        return self.output_field.get_db_prep_save(given[self.name], connection)
