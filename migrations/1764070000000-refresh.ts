import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** Which lists a refresh is asked for (SPEC G-6, N-3). */
export class Refresh1764070000000 implements MigrationInterface {
  readonly name = 'Refresh1764070000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "gateways" ADD "dirty_kinds" text array NOT NULL DEFAULT '{}'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "gateways" DROP COLUMN "dirty_kinds"`);
  }
}
