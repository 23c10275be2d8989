from __future__ import annotations

import re
from datetime import datetime, timezone

from flask import Flask, current_app, request
from flask.views import MethodView
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, Conflict, NotFound

from depot.config import Config
from depot.models import Article, Bin, Movement, by_code, fill, last_movement, make_engine

CODE = re.compile(r"([A-Z]+)(?:-(\d+))?$")


def session():
    return Session(current_app.extensions["engine"])


def body():
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise BadRequest("send a JSON object")
    return found


def article_or_404(db, code):
    article = by_code(db, code.upper())
    if article is None:
        raise NotFound("no such article")
    return article


class ArticleView(MethodView):
    def get(self, code):
        with session() as db:
            return article_or_404(db, code).describe()

    def put(self, code):
        match = CODE.match(code.upper())
        if match is None:
            raise BadRequest("a code is letters, then perhaps a dash and a number")
        values = body()
        with session() as db:
            if by_code(db, code.upper()):
                raise Conflict("exists already")
            bin_id = values.get("bin")
            if bin_id is not None and db.get(Bin, bin_id) is None:
                raise BadRequest("no such bin")
            db.add(Article(code=code.upper(), stock=values.get("stock", 0), bin_id=bin_id))
            db.commit()
        return {"code": code.upper(), "series": int(match.group(2) or 0)}, 201


class MovementView(MethodView):
    def get(self, code):
        with session() as db:
            movement = last_movement(db, article_or_404(db, code))
            if movement is None:
                return {"last": None}
            return {"last": movement.amount, "on": movement.at.date().isoformat()}

    def post(self, code):
        try:
            amount = int(body()["amount"])
        except (KeyError, TypeError, ValueError):
            raise BadRequest("amount must be a number")
        with session() as db:
            article = article_or_404(db, code)
            article.stock = (article.stock or 0) + amount
            if article.stock < 0:
                raise Conflict("there is not that much")
            db.add(Movement(article_id=article.id, amount=amount, at=datetime.now(timezone.utc)))
            db.commit()
            return {"stock": article.stock}


class BinView(MethodView):
    def get(self, number):
        with session() as db:
            found = db.get(Bin, number)
            if found is None:
                raise NotFound("no such bin")
            codes = sorted(article.code for article in found.articles)
            free = found.free()
            fill_rate = 1 - free / found.capacity if found.capacity else 0.0
            return {"label": found.label, "codes": codes, "free": free, "rate": fill_rate, "first": codes[0] if codes else None}


def low():
    limit = request.args.get("below") or current_app.config["DEPOT"].number("low_water")
    try:
        limit = int(limit)
    except ValueError:
        raise BadRequest("below must be a number")
    with session() as db:
        found = [article.code for article in db.query(Article).all() if (article.stock or 0) < limit]
    return {"codes": sorted(found)}


def zone():
    index = request.args.get("index", default=0, type=int)
    found = current_app.config["DEPOT"].zone(index)
    return {"zone": found.upper() if found else None}


def create_app(config=None):
    app = Flask("depot")
    app.config["DEPOT"] = config or Config.load()
    engine = make_engine(app.config["DEPOT"].get("url"))
    fill(engine)
    app.extensions["engine"] = engine
    app.add_url_rule("/articles/<code>", view_func=ArticleView.as_view("article"))
    app.add_url_rule("/articles/<code>/movements", view_func=MovementView.as_view("movement"))
    app.add_url_rule("/bins/<int:number>", view_func=BinView.as_view("bin"))
    app.add_url_rule("/low", view_func=low)
    app.add_url_rule("/zone", view_func=zone)
    return app
