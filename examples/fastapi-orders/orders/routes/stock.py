"""Stock."""

from fastapi import APIRouter

from orders.services import stock

router = APIRouter(prefix="/stock", tags=["stock"])


@router.get("")
def overview():
    return stock.overview()


@router.get("/{article}")
def article(article: str):
    return stock.article(article)
