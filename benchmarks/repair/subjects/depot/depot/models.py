from __future__ import annotations

from datetime import datetime, timezone
from typing import List, Optional

from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    pass


class Bin(Base):
    __tablename__ = "bin"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    capacity: Mapped[Optional[int]] = mapped_column(default=None)
    articles: Mapped[List["Article"]] = relationship(back_populates="bin")

    def free(self):
        if self.capacity is None:
            return None
        return self.capacity - sum(article.stock or 0 for article in self.articles)


class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    stock: Mapped[Optional[int]] = mapped_column(default=0)
    supplier: Mapped[Optional[str]] = mapped_column(default=None)
    bin_id: Mapped[Optional[int]] = mapped_column(ForeignKey("bin.id"), default=None)
    bin: Mapped[Optional[Bin]] = relationship(back_populates="articles")

    def describe(self):
        return {
            "code": self.code,
            "stock": self.stock or 0,
            "bin": self.bin.label if self.bin else None,
            "supplier": self.supplier.title() if self.supplier else "unknown",
        }


class Movement(Base):
    __tablename__ = "movement"
    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    amount: Mapped[int]
    at: Mapped[datetime]


def make_engine(url):
    return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})


def fill(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        cold = Bin(id=1, label="cold", capacity=10)
        session.add_all([cold, Bin(id=2, label="yard")])
        session.add(Article(id=1, code="MILK", stock=4, supplier="dairy north", bin=cold))
        session.add(Article(id=2, code="SAND", stock=None))
        session.add(Article(id=3, code="FISH", stock=0, bin=cold))
        session.add(Movement(article_id=1, amount=5, at=datetime(2024, 1, 2, tzinfo=timezone.utc)))
        session.add(Movement(article_id=1, amount=-1, at=datetime(2024, 1, 3, tzinfo=timezone.utc)))
        session.commit()


def by_code(session, code):
    return session.execute(select(Article).where(Article.code == code)).scalar_one_or_none()


def last_movement(session, article):
    query = select(Movement).where(Movement.article_id == article.id).order_by(Movement.id.desc())
    return session.scalars(query).first()
